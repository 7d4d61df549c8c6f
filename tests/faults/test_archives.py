"""What hostile and damaged archives do, as rows of docs/reliability.md."""

import pytest
from tests.faults.archives import CASES, MEMORY, attempt
from tests.faults.table import record

pytestmark = pytest.mark.long


@pytest.mark.parametrize("case", CASES)
def test_archive(case, tmp_path):
    name, make, words = CASES[case]
    refusal, peak = attempt(name, make(), tmp_path)
    kept = bool(refusal) and words in refusal and "\n" not in refusal and peak < MEMORY
    record("archives", {"tried": case, "happened": "refused in one line" if kept else "not refused as it should be"})
    assert kept
