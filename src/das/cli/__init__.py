"""The command line. Snakemake's rules call it, and so can people. Each module holds one family of commands."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from das.cli import benchmark, export, images, reports, runs, saved, store, warm, watch
from das.cli.common import enter_project
from das.errors import DasError

app = typer.Typer(
    name="das",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich alone would take longer to import than everything else
    context_settings={"help_option_names": ["-h", "--help"]},
)
for family in (runs, watch, images, export, reports, store, saved, benchmark):
    app.add_typer(family.app)


@app.callback()
def project(
    folder: Annotated[
        Path | None,
        typer.Option(
            "--project",
            envvar="DAS_PROJECT",
            help="Folder of the study and its results; by default the nearest one from here upwards with params.yaml.",
        ),
    ] = None,
) -> None:
    """Differentiable Augmentation Search: search policies, train networks on the videos they make, compare."""
    enter_project(folder)


def main() -> None:
    """Run the command line: errors that a user can act on are one line, without a traceback."""
    warm.hand_over(sys.argv[1:])
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # what a shell starts in the background ignores it
        signal.signal(signal.SIGINT, _interrupted)
    try:
        app()
    except DasError as error:
        sys.exit(f"das: {error}")


def _interrupted(*_) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second one does not wait for threads to end
    sys.stderr.write("\ndas: interrupted; the same command continues a search or training from its last whole epoch\n")
    sys.exit(130)
