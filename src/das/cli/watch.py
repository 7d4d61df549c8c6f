"""`das watch`: how far a study is."""

import signal
import time
from collections import Counter
from typing import Annotated, Any

import typer

from das.cli.common import PARAMS, StudyFiles

app = typer.Typer()
EVERY_S = 2
NEXT = 5  # jobs that wait are named, so many
STATES = ("done", "running", "failed", "waiting")


@app.command()
def watch(
    once: Annotated[bool, typer.Option("--once", help="Print how far it is, and end.")] = False,
    study_files: StudyFiles = PARAMS,
):
    """Show the study's jobs as they go: how many are done, which run, at what epoch and how much longer, which failed
    and why, which wait. It reads what jobs leave and changes nothing: use it beside Snakemake, in another terminal.

    Without a terminal it prints once, in plain lines. Ctrl-C ends it, and nothing else.

    Example: das watch --study params.yaml --study config/segmentation.yaml
    """
    from das.study import load_study
    from das.study.jobs import jobs
    from das.study.results import everything

    study = load_study(study_files)
    runs = list(everything(study))
    from rich.console import Console

    console = Console()
    if once or not console.is_terminal:
        print(plain(study.name, jobs(runs)))
        return
    from rich.live import Live

    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with Live(console=console, auto_refresh=False) as live:
            while True:
                now = jobs(runs)
                live.update(drawn(study.name, now, console.height), refresh=True)
                if all(job.state == "done" for job in now):
                    break
                time.sleep(EVERY_S)
    except KeyboardInterrupt:
        return


def plain(name: str, now: list) -> str:
    """One line for all, and one for each job that runs or failed."""
    lines = [f"{name}: {counts(now)}"]
    for state in ("running", "failed"):
        for job in (job for job in now if job.state == state):
            lines.append(f"{state}: {title(job)}: {'; '.join(filter(None, [how_far(job), job.said]))}".rstrip(": "))
    return "\n".join(lines)


def drawn(name: str, now: list, height: int) -> Any:
    """The same for a terminal of ``height`` lines."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, expand=True)
    for column in ("", "job", "how far"):
        table.add_column(column, no_wrap=column != "how far", overflow="ellipsis")
    table.add_column("last said", ratio=1, no_wrap=True, overflow="ellipsis")
    told = [job for state in ("running", "failed") for job in now if job.state == state]
    waiting = [job for job in now if job.state == "waiting"][:NEXT]
    room = max(1, height - 5)
    for job in (*told, *waiting)[:room]:
        style = {"running": "bold", "failed": "red", "waiting": "dim"}[job.state]
        table.add_row(*(Text(text, style) for text in (job.state, title(job), how_far(job), job.said)))
    done = sum(job.state == "done" for job in now)
    return Group(
        Text(f"{name}: {counts(now)}"),
        ProgressBar(total=max(1, len(now)), completed=done, complete_style="cyan"),
        table,
        Text(f"and {len(told) - room} more" if len(told) > room else "", "dim"),
    )


def counts(now: list) -> str:
    found = Counter(job.state for job in now)
    shown = [f"{found[state]} {state}" for state in STATES[1:] if found[state]]
    return ", ".join([f"{found['done']} of {len(now)} done", *shown])


def title(job) -> str:
    return f"{job.run.kind} {job.run.place}"


def how_far(job) -> str:
    if job.epoch is None:
        return ""
    left = "" if job.left_s is None else f", {duration(job.left_s)} left"
    return f"epoch {job.epoch}/{job.epochs}{left}"


def duration(seconds: float) -> str:
    """In the two largest units that say something."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    hours = whole // 3600
    return f"{hours} h {whole % 3600 // 60:02d} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
