"""`das save`, `das restore`, `das verify`, `das audit`: finished work elsewhere and back, and what it rests on."""

from pathlib import Path
from typing import Annotated

import typer

from das.cli.common import PARAMS, StudyFiles, from_here

app = typer.Typer()
Remote = Annotated[str | None, typer.Option("--remote", "-r", help="Name of DVC's remote; by default its default one.")]


@app.command()
def save(study_files: StudyFiles = PARAMS, remote: Remote = None):
    """Save the study's finished work in DVC's remote (docs/dvc.md). Exit status 1 if a result cannot stand.

    Writes dvc.lock, or docs/results/saved/STUDY.dvc for a study of further files: commit it with git.

    Example: das save --study params.yaml --study config/rivals.yaml
    """
    from das.study import load_study
    from das.study.saved import save

    kept = save(load_study(study_files), remote)
    print(f"{kept}: names what was saved; `git add {kept}` and commit it")


@app.command()
def restore(
    wanted: Annotated[
        list[Path] | None, typer.Argument(callback=from_here, help="Files or folders of results; by default all.")
    ] = None,
    study_files: StudyFiles = PARAMS,
    remote: Remote = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let what is there and differs give way.")] = False,
):
    """Restore the study's results from DVC's remote, where their places are empty, and check each of them. Exit status
    1 if something was saved that was not restored; each is named.

    Example: das restore results/checkpoints/quickstart/fashion_mnist/resnet8/das/seed0.pt
    """
    from das.study import load_study
    from das.study.saved import restore

    done = restore(load_study(study_files), wanted or [], remote, replace)
    print("\n".join([*done.refused, f"{done.files} files restored, {done.there} results were there already"]))
    raise typer.Exit(1 if done.refused else 0)
