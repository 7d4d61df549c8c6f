"""Reading a study: YAML files, layered; what is wrong with them in one line a problem."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from das import yamlfile
from das.errors import DasError
from das.study import checks
from das.study.registry import wanted
from das.study.schema import Study

MOST_TOLD = 20  # problems at once


def load_study(files: Iterable[str | Path] = ("params.yaml",)) -> Study:
    """Read the study from ``files``; later files are layered over earlier ones, mapping by mapping.

    Raises DasError: a file that is missing or no YAML mapping, and everything that `check` refuses.
    """
    merged: dict[str, Any] = {}
    paths = [Path(file) for file in files]
    for path in paths:
        merged = _layer(merged, read(path))
    return check(merged, where=" + ".join(map(str, paths)))


def check(settings: Mapping[str, Any], where: str) -> Study:
    """Return the typed study of ``settings``; DasError lists the problems, one line each, led by ``where``."""
    try:
        study = Study.model_validate(settings)
    except ValidationError as error:
        problems = _sentences(settings, error.errors(include_url=False))
    else:
        problems = list(checks.problems(study))
    if problems:
        told = problems[:MOST_TOLD] + ["and more"] * (len(problems) > MOST_TOLD)
        raise DasError("\n".join(f"{where}: {problem}" for problem in told))
    return study


def read(file: Path) -> dict[str, Any]:
    """The mapping of sections in one study file. Raises DasError as `load_study`."""
    content = yamlfile.read(file)
    if not isinstance(content, dict):
        raise DasError(f"{file}: holds {type(content).__name__}, not a mapping of sections like params.yaml")
    return content


def _layer(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _layer(merged[key], value) if both else value
    return merged


def _sentences(settings: Mapping[str, Any], errors: list[ErrorDetails]) -> list[str]:
    """What is wrong, key by key. Where several kinds of value are allowed, pydantic has a problem with each of them:
    the one that came furthest is told, or all that came as far."""
    found: dict[str, str] = {}
    problems = [(_place(settings, problem), problem) for problem in errors[: 10 * MOST_TOLD]]
    for place, problem in problems:
        if len(place) < len(problem["loc"]) and any(other[: len(place)] == place != other for other, _ in problems):
            continue
        key = ".".join(part if part.isprintable() else repr(part) for part in map(str, place)) or "the study"
        if problem["type"] == "extra_forbidden":
            text = f"unknown key; allowed here: {', '.join(_allowed_keys(problem['loc'][:-1]))}"
        else:
            text = "is missing" if problem["type"] == "missing" else wanted(problem)
        found[key] = f"{found[key]} or {text.partition('; should be ')[2]}" if key in found else text
    return [f"{key}: {text}" for key, text in found.items()]


def _place(settings: Any, problem: ErrorDetails) -> tuple[str | int, ...]:
    """The keys that lead to a problem, without pydantic's names of what it tried there."""
    place: list[str | int] = []
    for part in problem["loc"]:
        mapped = isinstance(settings, Mapping) and part in settings
        listed = isinstance(settings, list) and isinstance(part, int) and part < len(settings)
        if mapped or listed:
            settings = settings[part]
        elif problem["type"] != "missing" or part != problem["loc"][-1]:
            continue
        place.append(part)
    return tuple(place)


def _allowed_keys(location: tuple) -> list[str]:
    """The keys of the section at ``location``, found by walking the model's annotations."""
    model: Any = Study
    for part in location:
        if isinstance(model, type) and issubclass(model, BaseModel) and part in model.model_fields:
            model = _section_of(model.model_fields[part].annotation)
    return list(model.model_fields)


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in getattr(annotation, "__args__", ()) if (found := _section_of(part))), None)
