"""Reading a study: YAML files, layered; what is wrong with them in one line a problem."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from das import yamlfile
from das.errors import DasError
from das.study import checks
from das.study.registry import wanted
from das.study.schema import Study


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
    """Return the typed study of ``settings``; DasError lists every problem, one line each, led by ``where``."""
    try:
        study = Study.model_validate(settings)
    except ValidationError as error:
        raise DasError("\n".join(f"{where}: {_sentence(problem)}" for problem in error.errors())) from None
    problems = list(checks.problems(study))
    if problems:
        raise DasError("\n".join(f"{where}: {problem}" for problem in problems))
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


def _sentence(problem: Mapping[str, Any]) -> str:
    location = [str(part) for part in problem["loc"] if part != "[key]"]
    key = ".".join(location) or "the study"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key; allowed here: {', '.join(_allowed_keys(problem['loc'][:-1]))}"
    if problem["type"] == "missing":
        return f"{key}: is missing"
    return f"{key}: {wanted(problem)}"


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
