"""Every archive of tests/faults/archives.py is refused in one line, without taking memory or leaving its folder."""

import time

import pytest
from tests.faults.archives import CASES, HONEST, MEMORY, SLOW, attempt


@pytest.mark.parametrize("case", [case for case in CASES if case not in SLOW])
def test_hostile_and_damaged_archives_are_refused(case, tmp_path):
    name, make, words = CASES[case]
    made = make()
    start = time.process_time()
    refusal, peak = attempt(name, made, tmp_path)
    assert refusal.startswith(str(tmp_path))
    assert words in refusal
    assert "\n" not in refusal
    assert peak < MEMORY
    assert time.process_time() - start < 20


@pytest.mark.parametrize("case", HONEST)
def test_honest_archives_of_the_same_makers_are_read(case, tmp_path):
    name, make = HONEST[case]
    refusal, _ = attempt(name, make(), tmp_path)
    assert not refusal
    assert (tmp_path / "into" / "a").read_bytes() == b"hello"
