"""The store: whole or not there, checked on the way out, and never in the way of the work itself."""

import errno
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from das import store as module
from das.store import LINKED, Store

KEY = "ab" + "0" * 62


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def published(tmp_path):
    """Two files as a run publishes them: a large one and a small one."""
    large, small = tmp_path / "out/model.pt", tmp_path / "out/number.json"
    large.parent.mkdir()
    large.write_bytes(os.urandom(LINKED + 1))
    small.write_text("{}")
    return {"checkpoint": large, "number": small}


def test_what_is_kept_comes_back_to_the_byte(store, published):
    before = {role: path.read_bytes() for role, path in published.items()}
    assert store.find("training", KEY) is None
    assert store.keep("training", KEY, published, "study/run")
    shutil.rmtree(published["number"].parent)
    entry = store.take("training", KEY, published)
    assert (entry.name, entry.kind, entry.digest) == ("study/run", "training", KEY)
    assert {role: path.read_bytes() for role, path in published.items()} == before
    assert store.verify() == []


def test_an_edit_of_a_small_result_never_reaches_the_store(store, published):
    store.keep("training", KEY, published, "study/run")
    published["number"].write_text('{"edited": true}')
    assert store.verify() == []
    store.take("training", KEY, published)
    assert published["number"].read_text() == "{}"


@pytest.mark.parametrize("harm", ["flip", "cut", "missing", "entry", "renamed"])
def test_damage_is_found_named_and_moved_aside(store, published, capsys, harm):
    store.keep("training", KEY, published, "study/run")
    folder = store.find("training", KEY).folder
    wanted = KEY
    if harm == "flip":
        content = bytearray((folder / "number.json").read_bytes())
        content[0] ^= 1
        (folder / "number.json").write_bytes(content)
    elif harm == "cut":
        (folder / "checkpoint.pt").unlink()
        (folder / "checkpoint.pt").write_bytes(b"short")
    elif harm == "missing":
        (folder / "number.json").unlink()
    elif harm == "entry":
        (folder / "entry.json").write_text("{")
    else:
        wanted = "cd" + KEY[2:]
        (folder.parents[1] / "cd").mkdir()
        folder.rename(folder.parents[1] / "cd" / wanted)
    assert len(store.verify()) == 1
    published["number"].unlink()
    assert store.take("training", wanted, published) is None
    assert not published["number"].exists()
    assert "is damaged" in capsys.readouterr().out
    assert store.verify() == []
    assert store.keep("training", wanted, {"checkpoint": published["checkpoint"]}, "study/run")


def test_two_at_once_keep_one_whole_entry(store, published):
    threads = [threading.Thread(target=store.keep, args=("training", KEY, published, "study/run")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.digest for entry in store.entries()] == [KEY]
    assert store.verify() == []
    assert [path.name for path in store.root.rglob(".*")] == []


@pytest.mark.parametrize("reason", [errno.ENOSPC, errno.EROFS])
def test_a_full_or_read_only_disk_keeps_nothing_and_says_so(store, published, capsys, monkeypatch, reason):
    def refuse(source, target):
        target.write_bytes(b"half")
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(module, "_copy", refuse)
    assert not store.keep("training", KEY, published, "study/run")
    said = capsys.readouterr().out
    assert "study/run could not be kept in the store" in said
    assert os.strerror(reason) in said
    assert not [path for path in store.root.rglob("*") if path.is_file()]


def test_an_entry_without_a_file_that_is_asked_for_is_no_help(store, published, capsys):
    store.keep("training", KEY, {"number": published["number"]}, "study/run")
    assert store.take("training", KEY, published) is None
    assert "has no checkpoint" in capsys.readouterr().out


def test_a_file_system_without_links_has_copies(store, published, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(module, "_reflink", lambda *_: False)
    store.keep("training", KEY, published, "study/run")
    kept = store.find("training", KEY).folder / "checkpoint.pt"
    assert kept.read_bytes() == published["checkpoint"].read_bytes()
    assert kept.stat().st_ino != published["checkpoint"].stat().st_ino


def test_what_is_forgotten_is_gone(store, published):
    store.keep("training", KEY, published, "study/run")
    store.forget(store.find("training", KEY))
    assert list(store.entries()) == []
    assert Path(published["number"]).exists()


def test_what_a_kill_left_is_tidied_when_it_is_old(store, published):
    place = store.root / "training" / KEY[:2]
    for name, age in (("old", 7200), ("new", 0)):
        (place / f".{KEY}.{name}").mkdir(parents=True)
        when = time.time() - age
        os.utime(place / f".{KEY}.{name}", (when, when))
    store.keep("training", KEY, published, "study/run")
    assert sorted(path.name for path in place.iterdir()) == [f".{KEY}.new", KEY]


def test_a_damaged_entry_is_replaced_when_the_run_is_kept_again(store, published, capsys):
    store.keep("training", KEY, published, "study/run")
    (store.find("training", KEY).folder / "number.json").write_text("damaged")
    assert store.keep("training", KEY, published, "study/run")
    assert "is damaged" in capsys.readouterr().out
    assert store.verify() == []
