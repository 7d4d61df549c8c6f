"""Rows of docs/reliability.md: what was tried and what happened, one JSON line a case."""

import json
import os
from pathlib import Path
from typing import Any

FILE = Path(os.environ.get("DAS_FAULTS", "results/faults.jsonl")).absolute()


def record(table: str, row: dict[str, Any]) -> None:
    """Add a case to a table: `tried` and `happened`, in words; cases of equal words are counted."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with FILE.open("a") as file:
        file.write(json.dumps({"table": table, **row}) + "\n")
