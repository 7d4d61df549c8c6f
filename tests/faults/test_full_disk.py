"""Every kind of work on a disk that fills up: one line, nothing half made, and the same bytes once there is space."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.faults.table import record
from tests.faults.work import COMMANDS

pytestmark = pytest.mark.long
LEFT = (0, 8, 64, 400)  # KiB
FILES = (0, 1, 2, 4)


def resized(place: Path, kib: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kib}k", place], check=True, capture_output=True)


@pytest.fixture
def disk(project, tmp_path):
    """A disk of its own in memory with the project's results; skips who may not mount one."""
    project.tables_anew()
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", place], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root can mount a disk that fills up")
    try:
        for name in ("data", "params.yaml", "study.yaml"):
            (place / name).symlink_to(project.folder / name)
        shutil.copytree(project.folder / "results", place / "results", symlinks=True)
        yield place
    finally:
        os.chdir(project.folder)
        subprocess.run(["umount", place], check=True)


def prepared(project, place: Path, work: str) -> None:
    for path in project.outputs(work):
        (place / path).unlink(missing_ok=True)
    for folder in ("store", "work"):
        shutil.rmtree(place / "results" / folder, ignore_errors=True)


def judged(project, place: Path, code: int) -> str:
    """What happened on the full disk, in words; what is at its place must be whole."""
    said = project.log.read_text()
    assert "Traceback" not in said, said
    if code:
        assert code == 1, said
        assert said.splitlines()[-1].startswith("das: "), said
        assert "No space left on device" in said.splitlines()[-1], said
    for path in (place / "results").rglob("*.json"):
        if path.parts[-5:-4] != ("work",):
            json.loads(path.read_text())
    return "one line" if code else "went through"


def same(project, place: Path) -> bool:
    return all((place / path).read_bytes() == content for path, content in project.whole.items())


@pytest.mark.parametrize("work", COMMANDS)
def test_a_disk_that_fills_up(project, disk, work):
    for left in LEFT:
        prepared(project, disk, work)
        used = os.statvfs(disk)
        resized(disk, (used.f_blocks - used.f_bfree) * used.f_frsize // 1024 + left)
        project.start(*COMMANDS[work], cwd=disk)
        happened = judged(project, disk, project.end())
        resized(disk, 64 << 10)
        project.must(*COMMANDS[work], cwd=disk)
        assert same(project, disk)
        record("disk", {"tried": f"{work}, disk with {left} KiB left", "happened": f"{happened}; then the same bytes"})


@pytest.mark.parametrize("work", COMMANDS)
def test_a_disk_that_is_full_from_the_nth_file_on(project, work):
    project.tables_anew()
    for files in FILES:
        prepared(project, project.folder, work)
        project.start(*COMMANDS[work], full=files)
        happened = judged(project, project.folder, project.end())
        project.must(*COMMANDS[work])
        assert project.bytes() == project.whole
        tried = f"{work}, disk full after {files} files"
        record("disk", {"tried": tried, "happened": f"{happened}; then the same bytes"})
