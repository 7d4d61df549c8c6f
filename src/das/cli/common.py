"""What commands share: their arguments, and where paths that a person types begin."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from das.errors import DasError

STUDY = "params.yaml"  # its folder is a project
_origin = Path()  # where the command was typed, if that is not the project's folder


def enter_project(named: Path | None) -> None:
    """Go to the project's folder: ``named``, or the nearest one from here upwards that holds params.yaml; without any,
    stay here. Raises DasError where ``named`` is no project."""
    global _origin
    here = Path.cwd()
    if named is not None and not (named / STUDY).is_file():
        raise DasError(f"--project: {named} holds no {STUDY}; name the folder of a project")
    found = named.resolve() if named else next((f for f in (here, *here.parents) if (f / STUDY).is_file()), here)
    if found != here:
        _origin = here
        os.chdir(found)


def from_here(context: typer.Context, parameter: typer.CallbackParam, value: Any) -> Any:
    """Let paths that were typed begin where the command was; defaults and the environment's begin in the project."""
    source = context.get_parameter_source(parameter.name or "")
    if value is None or source is None or source.name != "COMMANDLINE":
        return value
    return here(value) if isinstance(value, Path) else [here(path) for path in value]


def here(path: Path) -> Path:
    """A path that begins where the command was typed."""
    return _origin / path


StudyFiles = Annotated[
    list[Path],
    typer.Option(
        "--study",
        "-c",
        envvar="DAS_STUDY",
        callback=from_here,
        help="Study file; later ones are layered over earlier ones.",
    ),
]
Dataset = Annotated[str, typer.Argument(help="A name from the study's `datasets`.")]
Backbone = Annotated[str, typer.Argument(help="A name from the study's `backbones`.")]
Method = Annotated[str, typer.Argument(help="A name from the study's `methods`.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything random derives from it and from the names.")]
Afresh = Annotated[
    bool, typer.Option("--afresh", envvar="DAS_AFRESH", help="Make it again, even where it is there or in the store.")
]
PARAMS = [Path(STUDY)]


def images_of(study, dataset: str, seed: int = 0):
    """The study's data set, as runs with ``seed`` read it."""
    from das import data

    return data.of_study(study, dataset, seed)


def policy_of(run):
    """The policy that a run reads; None where it reads none."""
    from das.video.policy import Policy

    return Policy.load(run.made_by.main) if run.made_by else None
