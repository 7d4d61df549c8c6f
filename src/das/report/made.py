"""By what the study was made, when, and how long it took: from the run records."""

from collections import Counter
from collections.abc import Iterable
from importlib.metadata import version

from das.errors import DasError
from das.report.tables import Table
from das.seals import read_sealed
from das.study.runs import Run

HOUR = 3600


def records(runs: Iterable[Run]) -> list[tuple[Run, dict]]:
    """Each run that left a record that is whole, with it."""
    found = []
    for run in runs:
        if run.record.exists():
            try:
                found.append((run, read_sealed(run.record)))
            except DasError:  # the tables say so where it matters
                continue
    return found


def time(found: list[tuple[Run, dict]]) -> Table:
    """Runs, device hours and wall hours by kind of work."""
    kinds = list(dict.fromkeys(run.kind for run, _ in found))
    rows = []
    for kind in [*kinds, *(["together"] if len(kinds) > 1 else [])]:
        costs = [record.get("cost", {}) for run, record in found if kind in (run.kind, "together")]
        hours = [sum(cost.get(key, 0.0) for cost in costs) / HOUR for key in ("device_s", "wall_s")]
        peak = max((cost.get("peak_memory_bytes", 0) for cost in costs), default=0) / 2**20
        rows.append([kind, str(len(costs)), *(f"{value:.3g}" for value in hours), f"{peak:,.0f}"])
    caption = "Time of all runs that are there, recorded ones at what they took where they were made."
    return Table("time", "Time", caption, ["Work", "Runs", "Device hours", "Wall hours", "Peak memory, MiB"], rows)


def versions(found: list[tuple[Run, dict]]) -> Table:
    """What made the runs, and how many of them."""
    counts: Counter[tuple[str, str]] = Counter()
    for run, record in found:
        facts = {
            "commit": record.get("git_commit"),
            f"code of a {run.kind}": record.get("code"),
            **record.get("packages", {}),
            **record.get("machine", {}),
        }
        counts.update((name, str(value)) for name, value in facts.items() if value)
    rows = [[name, value, str(count)] for (name, value), count in sorted(counts.items())]
    caption = f"Versions that the run records name. This page was made by das {version('das')}."
    return Table("versions", "Versions", caption, ["What", "Version", "Runs"], rows)


def span(found: list[tuple[Run, dict]]) -> tuple[str, str] | None:
    """When the first and the last run was made, as dates; None where nothing was."""
    dates = sorted(record["made"] for _, record in found if record.get("made"))
    return (dates[0][:10], dates[-1][:10]) if dates else None
