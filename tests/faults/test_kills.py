"""SIGKILL at random moments of every kind of work, then what a user does: the same command again."""

import os
import random
import shutil
import signal

import pytest
from tests.faults.table import record
from tests.faults.work import COMMANDS

from das.files import read_json
from das.store import Store
from das.study import results

pytestmark = pytest.mark.long
KILLS = 20


def forget(project, work: str) -> None:
    """Remove what the work left, in its place and in the store."""
    for path in project.outputs(work):
        path.unlink(missing_ok=True)
    shutil.rmtree(Store().root, ignore_errors=True)


@pytest.mark.parametrize("work", COMMANDS)
def test_killed_work_ends_in_the_same_bytes(project, work):
    draws = random.Random(work)
    project.tables_anew()
    forget(project, work)
    longest = project.seconds(*COMMANDS[work])
    kills = 0
    while kills < KILLS:
        forget(project, work)
        in_a_row = draws.randint(1, 3)
        for _ in range(in_a_row):
            kills += project.killed(draws.uniform(0, longest), *COMMANDS[work])
            project.as_snakemake_starts()
        project.must(*COMMANDS[work])
        assert project.bytes() == project.whole
        assert results.audit(project.study) == {}
        assert Store().verify() == []
    for _ in range(kills):
        record("kills", {"tried": f"{work} killed", "happened": "the same command again gave the same bytes"})


@pytest.mark.parametrize("what", ["keeping in the store", "taking from the store"])
def test_the_store_is_whole_after_any_kill(project, what):
    draws = random.Random(what)
    run = project.run_of("training")
    project.must("audit")
    argv = ["audit"] if what.startswith("keeping") else COMMANDS["training"]

    def prepare() -> None:
        if what.startswith("keeping"):
            shutil.rmtree(Store().root)
        else:
            for path in project.outputs("training"):
                path.unlink(missing_ok=True)

    prepare()
    longest, kills = project.seconds(*argv), 0
    while kills < KILLS:
        prepare()
        kills += project.killed(draws.uniform(0, longest), *argv)
        assert Store().verify() == []
        project.as_snakemake_starts()
        project.must("audit")
        said = project.must(*COMMANDS["training"])
        assert "taken from the store" in said or "is there already" in said
        assert Store().find("training", read_json(run.record)["key"])
        assert project.bytes() == project.whole
        assert Store().verify() == []
    for _ in range(kills):
        record("kills", {"tried": f"{what} killed", "happened": "entries whole or not there, nothing made twice"})


def test_an_interrupt_is_one_line(project):
    forget(project, "training")
    process = project.start(*COMMANDS["training"])
    work = project.folder / "results/work/training"
    while not list(work.rglob("*.pt")):
        pass
    os.kill(process, signal.SIGINT)
    assert project.end() == 130
    assert project.log.read_text().splitlines()[-1] == (
        "das: interrupted; the same command continues a search or training from its last whole epoch"
    )
    project.must(*COMMANDS["training"])
    assert project.bytes() == project.whole
    record("kills", {"tried": "training interrupted (Ctrl-C)", "happened": "one line, then the same bytes"})
