"""What crafted files do, as rows of docs/reliability.md."""

import pytest
from tests.faults.crafted import CASES
from tests.faults.table import record

pytestmark = pytest.mark.long


@pytest.mark.parametrize("case", CASES)
def test_crafted_file(case, tmp_path, monkeypatch):
    of, content, words = CASES[case]
    monkeypatch.chdir(tmp_path)
    said, seconds = of(content, tmp_path)
    kept = words in said and seconds < 2 and not (tmp_path / "pwned").exists()
    record("crafted files", {"tried": case, "happened": "named and refused" if kept else "not refused as it should be"})
    assert kept
