"""States of interrupted work vouch for their content and for whose they are."""

import shutil

import pytest
import torch

from das.engine.resume import ResumeState


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = ResumeState("training", "study", "seed0", digest="abc")
    made.save({"weights": torch.arange(1000.0), "epoch": 3})
    return made


def test_what_is_saved_is_loaded(state):
    found = state.load()
    assert torch.equal(found["weights"], torch.arange(1000.0))
    assert found["epoch"] == 3
    state.discard()
    assert state.load() is None


def test_any_flipped_bit_is_noticed_and_the_work_starts_afresh(state, capsys):
    whole = state.path.read_bytes()
    for place in range(0, len(whole), 97):
        damaged = bytearray(whole)
        damaged[place] ^= 4
        state.path.write_bytes(damaged)
        assert state.load() is None, place
        assert "starting afresh" in capsys.readouterr().out
    assert state.path.with_name(f"{state.path.name}.refused").exists()


def test_a_state_of_other_work_is_refused_by_name(state, capsys):
    other = ResumeState("training", "study", "seed1", digest="def")
    shutil.copy(state.path, other.path)
    assert other.load() is None
    assert "belongs to other work" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"das-resume-1 abc\n", b"\n\n\n", b"\xff" * 50])
def test_what_is_no_state_is_refused(state, content, capsys):
    state.path.write_bytes(content)
    assert state.load() is None
    assert "starting afresh" in capsys.readouterr().out
