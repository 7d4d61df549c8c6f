"""Recorded results: what a study found, in one file of the repository, so that its tables need no training.

docs/results/recorded/STUDY.csv is append-only, a line a run: what names the run, its settings' digest and its score,
to be read by eye; its files but the checkpoint and its run record, compressed, to be put back byte for byte; and the
line's SHA-256. The order of lines means nothing, so git merges by union (.gitattributes). What is put back is vouched
for as any result is: the record in it must fit the study's settings, images and policies as they are now.
"""

import base64
import csv
import hashlib
import io
import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from das.errors import DasError
from das.files import publish, read_json
from das.seals import SEAL, read_sealed, sealed
from das.study import results
from das.study.runs import MethodRun, Run
from das.study.schema import Study
from das.study.sources import Look

FOLDER = Path("docs/results/recorded")
COLUMNS = ("kind", "dataset", "backbone", "name", "seed", "settings", "score", "made", "key", "content", "sha256")
RECORD = "record"
MARK = "recorded"  # in the run record of what was put back
CELL = 1 << 24  # characters

csv.field_size_limit(CELL)


@dataclass(frozen=True)
class Line:
    """A recorded run."""

    cells: dict[str, str]

    @property
    def run(self) -> tuple[str, ...]:
        """Kind and identity."""
        return tuple(self.cells[column] for column in COLUMNS[:5])

    def files(self) -> dict[str, str]:
        """{role: text} of its files and its record."""
        return json.loads(zlib.decompress(base64.b64decode(self.cells["content"])))


def path_of(study: Study) -> Path:
    """Where the study's recorded results stand."""
    return FOLDER / f"{study.name}.csv"


def append(study: Study) -> int:
    """Add the study's finished runs that can stand for it and are not recorded yet; returns how many there were."""
    path, new = path_of(study), []
    known = {line.cells["key"] for line in read(path)}
    with Look(results.RESULTS / study.name) as look:
        for run in results.everything(study):
            small = _small(run)
            if not all(file.is_file() for file in (*small.values(), run.record)) or results.fault(run, look):
                continue
            record = read_sealed(run.record)
            if record["key"] not in known and MARK not in record:
                new.append(_line(run, small, record))
    if new:
        text = path.read_text() if path.exists() else _row(COLUMNS)
        publish(path, text + "".join(new))
    return len(new)


def place(study: Study) -> list[str]:
    """Put the recorded results of the study in the places that are empty, and say in lines what could not be used.

    With DAS_AFRESH=1 nothing is put back. Checkpoints are not recorded: what needs one is trained.
    """
    path = path_of(study)
    if not path.exists() or os.environ.get(results.AFRESH, "") not in ("", "0"):
        return []
    lines: dict[tuple[str, ...], list[Line]] = {}
    for line in read(path):
        lines.setdefault(line.run, []).append(line)
    others, unfit = [], []
    with Look(results.RESULTS / study.name) as look:
        for run in results.everything(study):
            found = lines.get(_named(run), [])
            fitting = [line for line in found if line.cells["settings"] == run.digest]
            if found and not fitting:
                others.append(run)
            elif fitting and not any(file.exists() for file in (*run.files.values(), run.record)):
                why = _put(run, max(fitting, key=lambda line: line.cells["made"]), path, look)
                unfit += [f"{path}: {run.place}: {why}; it is made where it is needed"] if why else []
    said = f"{path}: recorded with other settings than the study's, so made where needed"
    return [*([f"{said}: {', '.join(run.place for run in others)}"] if others else []), *unfit]


def put_back(run: Run) -> bool:
    """Whether the run's files were put in their places by `place`."""
    return run.record.exists() and MARK in read_sealed(run.record)


def read(path: Path) -> Iterator[Line]:
    """The lines of a file of recorded results; one that was changed is named and left out."""
    if not path.exists():
        return
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        if tuple(next(rows, ())) != COLUMNS:
            raise DasError(f"{path}: begins with other columns than {', '.join(COLUMNS)}; restore it from git")
        for row in rows:
            if tuple(row) == COLUMNS:  # of the other side of a merge
                continue
            if len(row) != len(COLUMNS) or row[-1] != _seal(row[:-1]):
                print(f"{path}: line {rows.line_num} was changed or cut short, and is not used", flush=True)
                continue
            yield Line(dict(zip(COLUMNS, row, strict=True)))


def _small(run: Run) -> dict[str, Path]:
    return {role: file for role, file in run.files.items() if role != "checkpoint"}


def _named(run: Run) -> tuple[str, ...]:
    return (run.kind, *map(str, run.identity.values()))


def _line(run: Run, small: dict[str, Path], record: dict[str, Any]) -> str:
    texts = {role: file.read_text() for role, file in small.items()} | {RECORD: run.record.read_text()}
    content = base64.b64encode(zlib.compress(json.dumps(texts).encode(), 9)).decode()
    number = read_json(run.number) if isinstance(run, MethodRun) else None
    score = f"{number['last'][number['metric']]:.4f}" if number else ""
    cells = [*_named(run), run.digest, score, record["made"], record["key"], content]
    return _row([*cells, _seal(cells)])


def _row(cells: tuple[str, ...] | list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _seal(cells: list[str]) -> str:
    return hashlib.sha256("\n".join(cells).encode()).hexdigest()


def _put(run: Run, line: Line, path: Path, look: Look) -> str | None:
    """Write the run's files and record; take them away again, and say why, where they cannot stand for the run."""
    small = _small(run)
    try:
        texts = line.files()
        record = json.loads(texts.pop(RECORD))
        del record[SEAL]
        record["run"]["study"] = run.study
        contents = {file: texts[role] for role, file in small.items()}
    except (ValueError, KeyError, TypeError, AttributeError, zlib.error):
        return "its line holds other files than such a run has"
    for file, text in contents.items():
        publish(file, text)
    publish(run.record, sealed(record | {MARK: {"file": path.as_posix(), "line": line.cells["sha256"][:16]}}))
    if why := results.fault(run, look):
        for file in (*small.values(), run.record):
            file.unlink()
    return why
