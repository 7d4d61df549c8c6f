"""The register of results: every recorded number in one append-only table of the repository, a line a number.

docs/results/register.csv says of each what it is (study, data set, backbone, method, seed, metric, score), what it was
made from (digests of settings and number; the key of all that it depends on), by which code, on what, when, at what
cost, and whether it is, byte for byte, what an earlier line of the same key is (its tier; what else a number rests on
says `das verify`). The order of lines means nothing, so git merges by union (.gitattributes).
"""

import csv
import io
from datetime import UTC, datetime
from pathlib import Path

from das.analysis.results import standing
from das.files import publish, read_json
from das.seals import read_sealed
from das.study import recorded
from das.study.results import RESULTS
from das.study.runs import MethodRun, of_study
from das.study.schema import Study
from das.study.sources import Look

REGISTER = Path("docs/results/register.csv")
COLUMNS = (
    *("recorded", "study", "dataset", "backbone", "method", "seed", "metric", "score", "tier", "made", "settings"),
    *("number", "key", "code", "commit", "device", "python", "torch", "device_s"),
)
MADE, SAME, OTHER = "made", "made again: same bytes", "made again: other bytes"


def append(study: Study, path: Path = REGISTER) -> int:
    """Add the study's numbers that can stand for it and are not there yet; returns how many there were.

    A number that was put back from recorded results (`das.study.recorded`) is one of those, and is not added.
    """
    there, new = read(path), []
    with Look(RESULTS / study.name) as look:
        for run in of_study(study):
            if not standing(run, look)[0]:
                continue
            line = _line(run, there)
            if line and not any((old["key"], old["made"]) == (line["key"], line["made"]) for old in there):
                new.append(line)
    if new:
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        if not there:
            writer.writeheader()
        writer.writerows(new)
        publish(path, (path.read_text() if there else "") + text.getvalue())
    return len(new)


def read(path: Path = REGISTER) -> list[dict[str, str]]:
    """The register's lines."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [line for line in csv.DictReader(file) if line["key"] != "key"]  # a second header, of a merge


def _line(run: MethodRun, there: list[dict[str, str]]) -> dict[str, str] | None:
    record, content = read_sealed(run.record), read_json(run.number)
    if recorded.MARK in record:
        return None
    line = {
        "recorded": f"{datetime.now(UTC):%Y-%m-%d}",
        "study": run.study,
        **{name: str(value) for name, value in run.identity.items()},
        "metric": content["metric"],
        "score": repr(content["last"][content["metric"]]),
        "made": record["made"],
        "settings": run.digest,
        "number": record["files"]["number"][:16],
        "key": record["key"][:16],
        "code": record["code"],
        "commit": str(record["git_commit"]),
        "device": record["machine"]["device"],
        "python": record["machine"]["python"],
        "torch": record["packages"]["torch"],
        "device_s": f"{record['cost']['device_s']:.1f}",
    }
    before = {old["number"] for old in there if old["key"] == line["key"]}
    return line | {"tier": (SAME if line["number"] in before else OTHER) if before else MADE}
