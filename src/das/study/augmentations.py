"""The `augment` lists of data sets and methods: what an entry means, and which entries go together.

An entry is the name of an augmentation or an objective (one's own: ``package.module:attribute``), or {name: {option:
value}}. Facts of an augmentation: ``mix``, whether it makes new images of two and turns labels into probabilities;
``masks``, whether label maps move with their images; ``search``, whether it is found by a search before the training;
``frames``, whether it cuts boxes out of full-size images while they are read. A component of one's own whose facts say
``objective: True`` is an objective.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from das.errors import DasError
from das.study import registry
from das.study.registry import Entry

Listed = str | Mapping[str, Mapping[str, Any]]
INNER = "augment"  # the option that lists augmentations again


def read(listed: Listed) -> tuple[Entry, dict[str, Any]]:
    """Return the component of one entry of an `augment` list, and its options.

    Raises DasError for unknown names and options, values that are not allowed, and options that are missing.
    """
    given: Mapping[str, Any]
    if isinstance(listed, str):
        name, given = listed, {}
    elif isinstance(listed, Mapping) and len(listed) == 1:
        ((name, given),) = listed.items()
    else:
        raise DasError(f"{listed!r} should be the name of an augmentation, or one name with its options")
    if not isinstance(given, Mapping):
        raise DasError(f"{name}: is {given!r}; should be a mapping of options")
    entry = _named(str(name))
    options = entry.check(given)
    if INNER in entry.options and INNER in given:
        for one in given[INNER]:
            inner, _ = read(one)
            if not changes_pixels_only(inner) or inner.name == name:
                raise DasError(f"{name}.{INNER}: has no place for {inner.name}; should list what changes no label")
    return entry, options


def components(listed: Sequence[Listed]) -> Iterator[tuple[str, str]]:
    """(kind, name) of the components that an `augment` list names."""
    for one in listed:
        entry, options = read(one)
        yield entry.kind, entry.name
        if INNER in entry.options:
            yield from components(options.get(INNER, ()))


def changes_pixels_only(entry: Entry) -> bool:
    """Whether each image is changed by itself, and no label, without a search."""
    return entry.kind == "augmentation" and not entry.facts.get("mix") and not entry.facts.get("search")


def check_dataset(listed: Sequence[Listed]) -> Iterator[str]:
    """Yield what is wrong with the augmentations of a data set, which searches use too: they leave labels alone."""
    problems: list[str] = []
    for entry, _ in _readable(listed, problems):
        if not changes_pixels_only(entry):
            yield f"{entry.name} changes more than single images, so its place is a method's augment, not a data set's"
    yield from problems


def check_method(listed: Sequence[Listed]) -> Iterator[str]:
    """Yield what is wrong with the augmentations of a method: at most one mixes images, after all others."""
    problems: list[str] = []
    known = [entry for entry, _ in _readable(listed, problems)]
    yield from problems
    mixing = [entry for entry in known if entry.kind == "objective" or entry.facts.get("mix")]
    if len(mixing) > 1:
        yield f"{' and '.join(entry.name for entry in mixing)} both mix images; one method should mix once"
    elif mixing and known[-1] != mixing[0]:
        yield f"{mixing[0].name} stands before {known[-1].name}; what mixes images should come last"


def check_together(listed: Sequence[Listed], *, dense: bool, size: int | Sequence[int] | None) -> Iterator[str]:
    """Yield why augmentations cannot work on images with this side, or height and width (None: not known), or with
    label maps (dense)."""
    sides = {size} if isinstance(size, int) else set(size or ())
    for entry, given in _readable(listed, []):
        if dense and not entry.facts.get("masks"):
            yield f"{entry.name} cannot move label maps, which segmentation needs"
        grid = given.get("grid", entry.options["grid"].default if "grid" in entry.options else 1)
        for side in sorted(sides):
            if side % grid:
                yield f"{entry.name}.grid: is {grid}, which does not divide the image's side of {side} pixels"


def _named(name: str) -> Entry:
    if name in registry.names("objective"):
        return registry.lookup("objective", name)
    if ":" not in name and name not in registry.names("augmentation"):
        known = (*registry.names("augmentation"), *registry.names("objective"))
        raise DasError(
            f"{name!r} is unknown; should be one of {', '.join(known)}, or package.module:attribute of your own"
        )
    entry = registry.lookup("augmentation", name)
    return registry.lookup("objective", name) if entry.facts.get("objective") else entry


def _readable(listed: Sequence[Listed], problems: list[str]) -> Iterator[tuple[Entry, dict[str, Any]]]:
    for one in listed:
        try:
            yield read(one)
        except DasError as problem:
            problems.append(str(problem))
