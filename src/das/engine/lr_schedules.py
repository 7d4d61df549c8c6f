"""How the learning rate falls. Each takes a recipe, the epochs of the run and the epochs done (fractions count batches)
and gives a factor of the recipe's rate; warm-up, linear from 0, comes before all of them."""

import math

from das.study import registry
from das.study.schema import Recipe


def learning_rate(recipe: Recipe, epochs: int, epoch: float) -> float:
    """The learning rate after ``epoch`` of ``epochs`` epochs."""
    if epoch < recipe.warmup_epochs:
        return recipe.lr * epoch / recipe.warmup_epochs
    return recipe.lr * registry.lookup("lr_schedule", recipe.schedule).load()(recipe, epochs, epoch)


def cosine(recipe: Recipe, epochs: int, epoch: float) -> float:
    """From 1 to 0 along half a cosine."""
    return (1 + math.cos(math.pi * _progress(recipe, epochs, epoch))) / 2


def poly(recipe: Recipe, epochs: int, epoch: float) -> float:
    """(1 - progress) ** poly_power."""
    return (1 - _progress(recipe, epochs, epoch)) ** recipe.poly_power


def step(recipe: Recipe, epochs: int, epoch: float) -> float:
    """Times step_factor every step_epochs epochs; an equal-compute control's longer training stretches them along."""
    return recipe.step_factor ** int(epoch * recipe.epochs / epochs / recipe.step_epochs)


def constant(recipe: Recipe, epochs: int, epoch: float) -> float:
    """Always 1."""
    return 1.0


def _progress(recipe: Recipe, epochs: int, epoch: float) -> float:
    return (epoch - recipe.warmup_epochs) / max(epochs - recipe.warmup_epochs, 1e-9)
