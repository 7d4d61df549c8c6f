"""The optimizers and learning rate schedules that recipes name."""

from das.study.registry import Entry

COMPONENTS = [
    Entry("optimizer", "sgd", "das.engine.optimizers:from_recipe_sgd", "SGD with momentum, Nesterov off"),
    Entry("optimizer", "adamw", "das.engine.optimizers:from_recipe_adamw", "Adam with decoupled weight decay"),
    Entry("lr_schedule", "cosine", "das.engine.lr_schedules:cosine", "half a cosine to 0"),
    Entry("lr_schedule", "step", "das.engine.lr_schedules:step", "times step_factor every step_epochs epochs"),
    Entry("lr_schedule", "poly", "das.engine.lr_schedules:poly", "(1 - progress) ** poly_power"),
    Entry("lr_schedule", "constant", "das.engine.lr_schedules:constant", "no fall"),
]
