"""Damage of every kind to every kind of file, then the next start: it is named, and what was there is made again."""

import os
import random
import shutil
from pathlib import Path

import pytest
from tests.faults.table import record
from tests.faults.work import COMMANDS, PLACE, in_place

from das.store import Store
from das.study import of_method, results
from das.study.results import card_path

pytestmark = pytest.mark.long


def flipped(content: bytes, draws: random.Random) -> bytes:
    place = draws.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draws.randrange(8)]) + content[place + 1 :]


def edited(content: bytes, draws: random.Random) -> bytes:
    """Another digit in place of one."""
    digits = [place for place, byte in enumerate(content) if 0x30 <= byte <= 0x38]
    place = draws.choice(digits)
    return content[:place] + bytes([content[place] + 1]) + content[place + 1 :]


KINDS = {
    "a bit flipped": lambda content, draws, _: flipped(content, draws),
    "a digit edited": lambda content, draws, _: edited(content, draws),
    "cut in half": lambda content, *_: content[: len(content) // 2],
    "emptied": lambda *_: b"",
    "zeros in the middle": lambda c, *_: c[: len(c) // 3] + bytes(len(c) // 3) + c[2 * (len(c) // 3) :],
    "bytes appended": lambda content, *_: content + b"\0",
    "another run's file": lambda content, draws, other: other,
    "a file of another kind": lambda *_: b"\x89PNG\r\n\x1a\n and then nothing",
}
FILES = ("number", "run record", "weights", "policy", "search history", "data set's card", "trials", "a table")


def place_of(project, file: str) -> tuple[Path, bytes]:
    """The file to damage, and another run's in its stead."""
    das, baseline = (of_method(project.study, *PLACE, method, 0) for method in ("das", "baseline"))
    search, tuning = project.run_of("search"), project.run_of("tuning")
    pairs = {
        "number": (das.number, baseline.number),
        "run record": (das.record, baseline.record),
        "weights": (das.checkpoint, baseline.checkpoint),
        "policy": (search.main, search.files["halves"]),
        "search history": (search.files["history"], search.files["halves"]),
        "data set's card": (card_path(project.study, "few", 0), search.record),
        "trials": (tuning.main, tuning.files["split"]),
        "a table": (Path("results/tables/tiny/accuracy.md"), Path("results/tables/tiny/search.md")),
    }
    path, other = pairs[file]
    return path, other.read_bytes()


def remade(project) -> list[str]:
    """What Snakemake would run, run: the commands' output."""
    said = []
    if not card_path(project.study, "few", 0).exists():
        said.append(project.must("describe", "few"))
    for run in results.everything(project.study):
        if not run.main.exists():
            said.append(project.must(run.command, *PLACE, run.name))
    said.append(project.must("tables"))
    return said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", FILES)
def test_damage_is_named_and_made_good(project, file, kind):
    path, other = place_of(project, file)
    before = path.read_bytes()
    damaged = KINDS[kind](before, random.Random(f"{file} {kind}"), other)
    assert damaged != before
    in_place(path, damaged)
    unfit = project.as_snakemake_starts()
    named = any(str(path) in f"{where} {why}" for where, why in unfit.items())
    if (card := card_path(project.study, "few", 0)) in unfit:
        card.unlink()
    said = "\n".join(remade(project)) if unfit else ""
    if project.bytes() != project.whole:
        happened = "named, but other bytes" if named else "silently"
    elif not named:
        happened = "silently" if path.read_bytes() == damaged else "not named"
    else:
        happened = "named, from the store" if "taken from the store" in said else "named, made again"
    record("damage", {"file": file, "kind": kind, "happened": happened})
    assert happened.startswith("named, ")
    assert happened != "named, but other bytes"
    assert results.audit(project.study) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_in_the_store_is_named_and_made_good(project, kind):
    project.must("audit")
    run = project.run_of("training")
    entry = next(e for e in Store().entries() if e.kind == "training" and "/das/" in e.name)
    path = entry.folder / "checkpoint.pt"
    other = of_method(project.study, *PLACE, "baseline", 0).checkpoint.read_bytes()
    in_place(path, KINDS[kind](path.read_bytes(), random.Random(kind), other))
    assert len(Store().verify()) == 1
    for file in (*run.files.values(), run.record):
        file.unlink()
    said = project.must(*COMMANDS["training"])
    happened = "named, made again" if "is damaged (checkpoint.pt is not what was kept)" in said else "silently"
    record("damage", {"file": "weights in the store", "kind": kind, "happened": happened})
    assert happened == "named, made again"
    assert all(path.read_bytes() == project.whole[path] for path in run.files.values())
    assert Store().verify() == []
    project.tables_anew()


def interrupted(project, work: str, *argv: str) -> Path:
    """The state that a kill leaves."""
    folder = project.folder / "results/work" / work
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(Store().root, ignore_errors=True)
    process = project.start(*argv)
    while not (states := [path for path in folder.rglob("*.pt") if not path.name.startswith(".")]):
        pass
    os.kill(process, 9)
    project.end()
    return states[0]


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_a_state_is_named_and_the_work_starts_afresh(project, kind):
    run = project.run_of("training")
    for file in (*run.files.values(), run.record):
        file.unlink(missing_ok=True)
    baseline = of_method(project.study, *PLACE, "baseline", 0)
    other = b"das-resume-1 " + b"0" * 64 + b" " + b"0" * 64 + b"\n" + baseline.checkpoint.read_bytes()
    state = interrupted(project, "training", *COMMANDS["training"])
    in_place(state, KINDS[kind](state.read_bytes(), random.Random(kind), other))
    said = project.must(*COMMANDS["training"])
    happened = "named, started afresh" if "starting afresh" in said else "silently"
    record("damage", {"file": "state of an interrupted training", "kind": kind, "happened": happened})
    assert happened == "named, started afresh"
    assert all(path.read_bytes() == project.whole[path] for path in run.files.values())
    project.tables_anew()
