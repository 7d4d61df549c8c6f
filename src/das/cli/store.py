"""`das store`: finished work, kept."""

from typing import Annotated

import typer

from das.cli.common import PARAMS, StudyFiles

app = typer.Typer(
    name="store",
    help="Finished work, kept under the digest of all it depends on (docs/store.md).",
    no_args_is_help=True,
)


@app.command("list")
def store_list():
    """List what the store keeps: kind, identity, size, age, and the studies that use it."""
    from das.study.keeping import listing

    print(listing())


@app.command()
def verify():
    """Hash every file that the store keeps and name what is damaged. Exit status 1 if anything is."""
    from das.store import Store

    wrong = Store().verify()
    for what, why in wrong:
        print(f"{what}: {why}")
    print(f"{len(wrong)} damaged")
    raise typer.Exit(1 if wrong else 0)


@app.command()
def prune(
    study_files: StudyFiles = PARAMS,
    older_than: Annotated[float, typer.Option(min=0, help="Leave what was kept in the last DAYS.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise only say what would go.")] = False,
):
    """Remove what the present study does not use, nor what lies in results/ of another one.

    Example: das store prune --older-than 30 --yes
    """
    from das.study import load_study
    from das.study.keeping import prune

    print(prune(load_study(study_files), older_than, yes))
