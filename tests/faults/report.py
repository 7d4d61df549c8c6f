"""Runs the faults and writes docs/reliability.md from what they recorded: `uv run python -m tests.faults.report`."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/reliability.md"
HEAD = """# Reliability

What was tried to have something wrong pass in silence, or something finished be lost; how often; and what happened.
Made by `uv run python -m tests.faults.report` (minutes), which runs `pytest -m long tests/faults` and counts.
"""
TITLES = {
    "kills": """## Kills

SIGKILL at random moments of every kind of work, then the next start's check and the same command. All results and
tables are compared with those of an undisturbed run, byte by byte.
""",
    "disk": """## Full disks

A disk that has little space left, or that takes no more after some files; then space is made and the same command runs
again. "One line" is all that a user sees of it: no traceback.
""",
    "damage": """## Damage

Each kind of damage, done to each kind of file in place (time of modification, and where it can be the size, as before),
then the next start. "Named" is a line that says which file and why; "from the store" and "made again" give back the
same bytes.
""",
    "archives": "## Hostile archives\n",
    "downloads": "## Downloads\n",
    "crafted files": "## Crafted files\n",
}


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The cases of one table: damage as files by kinds, everything else as words with their counts."""
    cases = pd.DataFrame(rows)
    if name == "damage":
        kinds = list(dict.fromkeys(cases["kind"]))
        wide = cases.pivot_table(index="file", columns="kind", values="happened", aggfunc=_together, sort=False)
        return wide[kinds].rename_axis(None, axis=1).reset_index().to_markdown(index=False, disable_numparse=True)
    words = list(cases.columns)
    counted = cases.astype(str).groupby(words, sort=False).size().rename("times").reset_index()
    return counted[[words[0], "times", *words[1:]]].to_markdown(index=False, disable_numparse=True)


def _together(happened: pd.Series) -> str:
    return "; ".join(dict.fromkeys(happened))


def page(lines: Sequence[str]) -> str:
    """The whole page of the recorded lines."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        row = json.loads(line)
        tables.setdefault(row.pop("table"), []).append(row)
    names = [name for name in TITLES if name in tables] + sorted(tables.keys() - TITLES.keys())
    parts = [
        f"{TITLES.get(name, f'## {name.capitalize()}' + chr(10))}\n{table(name, tables[name])}\n" for name in names
    ]
    return "\n".join([HEAD, *parts])


def main() -> None:
    """Run all faults; write the page if every one ended well."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "faults.jsonl"
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-m", "long", "tests/faults", *sys.argv[1:]],
            cwd=ROOT, env=os.environ | {"DAS_FAULTS": str(file)},
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{PAGE}: is not written, because some of the faults did not end well")
        PAGE.write_text(page(file.read_text().splitlines()))
    print(PAGE)


if __name__ == "__main__":
    main()
