"""Settings that a tuning tries and chooses: what they change, who is tuned, and how long trials run.

A setting is {path: value}; a path is ``recipe.KEY``, a key of the recipe, or ``AUGMENTATION.OPTION``, an option of one
of the method's augmentations.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from das.errors import DasError
from das.study import augmentations
from das.study.registry import wanted
from das.study.schema import Method, Recipe, Study, Tuning

RECIPE = "recipe"
Settings = Mapping[str, Any]


def apply(settings: Settings, recipe: Recipe, how: Method) -> tuple[Recipe, Method]:
    """The recipe and the method with ``settings`` in them. Raises DasError for a path that leads nowhere and for a
    value that is not allowed there."""
    own: dict[str, dict[str, Any]] = {}
    for path, value in settings.items():
        place, _, key = path.partition(".")
        own.setdefault(place, {})[key] = value
    recipe = changed(recipe, own.pop(RECIPE, {}))
    if not own:
        return recipe, how
    entries = [(entry.name, dict(options)) for entry, options in map(augmentations.read, how.augment)]
    names = [name for name, _ in entries]
    for place, options in own.items():
        if place not in names:
            path = f"{place}.{next(iter(options))}"
            raise DasError(f"{path}: the method has no such augmentation; it has {', '.join(names) or 'none'}")
        augmentations.read({place: dict(entries[names.index(place)][1]) | options})
    augment = [{name: options | own.get(name, {})} for name, options in entries]
    return recipe, how.model_copy(update={"augment": augment})


def changed(recipe: Recipe, keys: Mapping[str, Any]) -> Recipe:
    """The recipe with other values of ``keys``. Raises DasError as `apply`."""
    if not keys:
        return recipe
    try:
        return Recipe.model_validate(recipe.model_dump() | dict(keys))
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(map(str, (RECIPE, *first["loc"])))
        if first["type"] == "extra_forbidden":
            raise DasError(f"{path}: unknown key; allowed here: {', '.join(Recipe.model_fields)}") from None
        raise DasError(f"{path}: {wanted(first)}") from None


def methods(study: Study) -> list[str]:
    """The methods that are tuned: with recipe settings all of the grid's that train, and those that have a grid."""
    if not study.tuning:
        return []
    training = [name for name in study.study.methods if not study.methods[name].weights_of]
    return list(dict.fromkeys([*(training if study.tuning.recipe else ()), *study.tuning.grids]))


def rungs(tuning: Tuning, trials: int) -> list[tuple[int, float]]:
    """(trials, share of its epochs that each has trained for at the end) of every rung; ``trials`` in the first."""
    if not tuning.halving:
        return [(trials, 1.0)]
    factor, count = tuning.halving.factor, tuning.halving.rungs
    return [(trials // factor**rung, factor ** (rung + 1.0 - count)) for rung in range(count)]


def first_stop(tuning: Tuning, epochs: int) -> int:
    """After how many of a trial's ``epochs`` the first rung ends."""
    return stop(epochs, rungs(tuning, tuning.trials)[0][1])


def stop(epochs: int, share: float) -> int:
    """The epoch in which a trial has trained for ``share`` of its epochs."""
    return max(1, int(epochs * share + 1e-9))
