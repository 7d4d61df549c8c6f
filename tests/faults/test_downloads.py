"""What servers that misbehave do, as rows of docs/reliability.md."""

import pytest
from tests.faults.downloads import CASES, attempt
from tests.faults.table import record

pytestmark = pytest.mark.long


@pytest.mark.parametrize("case", CASES)
def test_download(case, tmp_path):
    words = CASES[case][1]
    said, _ = attempt(case, tmp_path)
    kept = words in said if words else not said
    happened = "refused in one line" if words else "whole in the end"
    record("downloads", {"tried": case, "happened": happened if kept else "not as it should be"})
    assert kept
