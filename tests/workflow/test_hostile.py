"""Studies that mean harm, and Ctrl-C, through Snakemake as a user runs it."""

import os
import signal
import time

import pytest
import yaml
from tests.workflow.test_workflow import POLICIES, TINY, project_in, snakemake, start


@pytest.mark.parametrize("root", ["data/raw/x & touch pwned & echo ", "data/raw/$(touch pwned)", "data/raw/../../.."])
def test_a_root_that_is_a_command_or_leads_outside_does_nothing(root, tmp_path):
    (tmp_path / "project").mkdir()
    project = project_in(tmp_path / "project")
    before = sorted(tmp_path.rglob("*"))
    study = yaml.safe_load(TINY)
    study["datasets"]["few"] |= {"reader": "cifar10", "root": root}
    (project / "tiny.yaml").write_text(yaml.safe_dump(study))
    status, output = snakemake(project, "results/tables")
    assert status != 0
    assert f"datasets.few.root: is {root!r}; data are fetched into it" in output
    assert [path for path in sorted(tmp_path.rglob("*")) if ".snakemake" not in path.parts] == before


def test_an_interruption_is_one_line_in_the_log_of_the_job(tmp_path):
    project = project_in(tmp_path)
    study = yaml.safe_load(TINY)
    study["searches"]["quick"]["epochs"] = 1000
    (project / "tiny.yaml").write_text(yaml.safe_dump(study))
    log = project / "results/logs/policies/tiny/few/resnet8/searched/seed0.log"
    run = start(project, f"{POLICIES}/searched/seed0.yaml")
    deadline = time.monotonic() + 120
    while not (log.exists() and "epoch 1/" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode != 0
    said = log.read_text()
    assert (
        said.strip().splitlines()[-1]
        == "das: interrupted; the same command continues a search or training from its last whole epoch"
    )
    assert "Traceback" not in said
