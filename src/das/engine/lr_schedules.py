"""How the learning rate falls. Each takes a recipe, the epochs of the run and the epochs done before the step, in
fractions for batches, and gives a factor of the recipe's rate; a linear warm-up comes before all of them."""

import math

from das.study import registry
from das.study.schema import Recipe


def learning_rate(recipe: Recipe, epochs: int, epoch: float, share: float) -> float:
    """The rate of the step that is ``share`` of an epoch long and begins after ``epoch`` of ``epochs`` epochs.

    Step i of N (from 0) has the schedule's factor at i / N, as SGDR, poly and step schedules are published and torch's
    schedulers count. In a warm-up of n steps it is (i + 1) / n (He et al. 2019, arXiv 1812.01187, section 3.1), so that
    no step has rate 0 and the last has the whole rate.
    """
    if epoch < recipe.warmup_epochs:
        return recipe.lr * min((epoch + share) / recipe.warmup_epochs, 1.0)
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
