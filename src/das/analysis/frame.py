"""A study's results for people who work in Python."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from das import yamlfile
from das.analysis.results import numbers
from das.errors import DasError
from das.study.load import load_study

PARAMS = Path("params.yaml")


def results(study: str | Path | Sequence[str | Path] = PARAMS) -> pd.DataFrame:
    """The results of a study of the project in this folder: one row per run (`das.analysis.results.numbers`).

    Args:
        study: the study's name, as in params.yaml and in the files of config/ and of this folder that are layered over
            it; or its files.

    Raises DasError for a study that is not there.
    """
    if isinstance(study, str) and not Path(study).is_file():
        return numbers(load_study(_files(study)))
    return numbers(load_study([study] if isinstance(study, str | Path) else study))


def _files(name: str) -> list[Path]:
    """The files of the study called ``name``."""
    known = dict(_studies())
    if name not in known:
        raise DasError(f"results: no study {name!r} in {Path.cwd()}; there are {', '.join(known) or 'none'}")
    return known[name]


def _studies() -> Iterator[tuple[str, list[Path]]]:
    """(name, files) of the studies here; params.yaml first."""
    beside = sorted({*Path("config").glob("*.yaml"), *Path().glob("*.yaml")} - {PARAMS})
    for path in [PARAMS, *beside]:
        if not path.is_file():
            continue
        try:
            content = yamlfile.read(path)
        except DasError:  # a file of somebody else's
            continue
        section = content.get("study") if isinstance(content, dict) else None
        if isinstance(section, dict) and isinstance(section.get("name"), str):
            yield section["name"], list(dict.fromkeys([PARAMS, path]))
