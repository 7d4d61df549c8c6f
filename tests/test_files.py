import os

import pytest

from das.errors import DasError
from das.files import publish, publish_json, read_json


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
