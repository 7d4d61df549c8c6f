"""What the store keeps, who uses it, and what may go."""

from datetime import UTC, datetime

from das.errors import DasError
from das.seals import read_sealed
from das.store import Entry, Store
from das.study import results
from das.study.runs import RESULTS
from das.study.schema import Study


def users() -> dict[str, list[str]]:
    """{digest: studies whose results/ hold the run}, from the run records that lie there."""
    found: dict[str, set[str]] = {}
    for path in sorted(RESULTS.glob("*/**/*.run.json")):
        try:
            record = read_sealed(path)
            found.setdefault(record["key"], set()).add(record["run"]["study"])
        except (DasError, KeyError, TypeError):  # named where it is asked for
            continue
    return {digest: sorted(studies) for digest, studies in found.items()}


def listing() -> str:
    """One line an entry: kind, run, size, age, the studies in results/ that use it; then their number and size."""
    using, rows, total = users(), [], 0
    for entry in Store().entries():
        total += entry.size
        rows.append((entry.digest[:12], entry.kind, entry.name, _size(entry.size), f"{_age(entry):.1f} days",
                     ", ".join(using.get(entry.digest, ["-"]))))  # fmt: skip
    rows.insert(0, ("digest", "kind", "kept for", "size", "age", "used by"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, f"{len(rows) - 1} entries, {_size(total)}"])


def prune(study: Study, older_than: float, yes: bool) -> str:
    """Remove the entries, kept more than ``older_than`` days ago, that neither a study in results/ nor ``study`` uses;
    without ``yes`` only say which. Returns what was done, a line an entry."""
    using = users()
    wanted = {results.key(run, found) for run in results.everything(study) if (found := _inputs(run)) is not None}
    lines, total = [], 0
    for entry in Store().entries():
        if entry.digest in using or entry.digest in wanted or _age(entry) < older_than:
            continue
        total += entry.size
        lines.append(f"{entry.digest[:12]}  {entry.kind}  {entry.name}  {_size(entry.size)}")
        if yes:
            Store().forget(entry)
    done = "removed" if yes else "to remove; say --yes to do it"
    return "\n".join([*lines, f"{len(lines)} entries, {_size(total)} {done}"])


def _inputs(run) -> dict[str, str] | None:
    try:
        return results.inputs(run)
    except DasError:  # what it reads is not here, so nothing is known of it
        return None


def _age(entry: Entry) -> float:
    """In days."""
    return (datetime.now(UTC) - datetime.fromisoformat(entry.kept)).total_seconds() / 86400


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
