import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from das.errors import DasError
from das.files import lock, publish, publish_json, read_json

LONG = 20_000
WRITE = """
import sys
from das.files import publish
for _ in range(100):
    publish(sys.argv[1], sys.argv[2] * int(sys.argv[3]))
"""
HOLD = """
import sys
from pathlib import Path
from das.files import lock
with lock(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    input()
"""


def test_publish_replaces_the_whole_file_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "deep" / "file.txt"
    publish(path, "first")
    publish(path, b"second")
    assert path.read_bytes() == b"second"
    assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_failed_write_leaves_the_old_file_whole(tmp_path, monkeypatch):
    path = tmp_path / "file.txt"
    publish(path, "old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DasError, match=r"file\.txt: cannot be written \(No space left on device\)"):
        publish(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "taken").write_text("a file where a folder should be")
    with pytest.raises(DasError, match=r"taken/x\.json: cannot be written"):
        publish_json(tmp_path / "taken" / "x.json", {})


def test_json_keeps_every_digit_and_refuses_what_json_cannot_say(tmp_path):
    path = tmp_path / "x.json"
    publish_json(path, {"a": 0.1 + 0.2})
    assert read_json(path) == {"a": 0.1 + 0.2}
    with pytest.raises(ValueError, match="not JSON compliant"):
        publish_json(path, {"a": float("nan")})


@pytest.mark.parametrize(("content", "words"), [("{", "not valid JSON"), ("[1]", "not a JSON object")])
def test_damaged_json_is_named(tmp_path, content, words):
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(DasError, match=rf"x\.json.*{words}"):
        read_json(path)


@pytest.mark.parametrize("place", ["disk", "tmpfs"])
def test_many_writers_of_one_file_leave_only_whole_ones(tmp_path, place):
    """Each writes a line of its own letter; a reader at any time sees one whole line, and no writer fails."""
    memory = place == "tmpfs" and os.access("/dev/shm", os.W_OK)
    with tempfile.TemporaryDirectory(dir="/dev/shm" if memory else tmp_path) as folder:
        path = Path(folder) / "file.txt"
        publish(path, "a" * LONG)
        writers = [subprocess.Popen([sys.executable, "-c", WRITE, path, letter, str(LONG)]) for letter in "abcd"]
        reads = 0
        while any(writer.poll() is None for writer in writers):
            text = path.read_text()
            assert len(text) == LONG
            assert len(set(text)) == 1
            reads += 1
        assert [writer.returncode for writer in writers] == [0] * 4
        assert reads > 100
        assert [p.name for p in path.parent.iterdir()] == ["file.txt"]


def test_a_second_process_is_told_who_works(tmp_path):
    path = tmp_path / "locks/run.lock"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "held\n"
    said = rf"number\.json: process {other.pid} on .* is making it now"
    with pytest.raises(DasError, match=said), lock(path, "number.json"):
        pass
    other.kill()
    other.communicate()
    with lock(path, "number.json"):  # a killed process holds nothing
        assert path.read_text().startswith(f"process {os.getpid()} ")


def test_a_full_disk_is_no_reason_not_to_hold_a_lock(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    path = tmp_path / "run.lock"
    with lock(path, "x"), pytest.raises(DasError, match="is making it now"), lock(path, "x"):
        pass
