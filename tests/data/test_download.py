"""Downloads from a server on the loopback interface: whole, or a clear refusal, and resumable."""

import hashlib
import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import yaml

from das.data import download
from das.data.download import Source, fetch, obtain, sources
from das.errors import DasError

CONTENT = np.random.default_rng(0).bytes(200_000)
MD5 = hashlib.md5(CONTENT).hexdigest()
TABLE = Path(__file__).parents[2] / "data" / "sources.yaml"


@pytest.fixture
def source(server) -> Source:
    server.files["set.tar"] = CONTENT
    return Source("set.tar", url=f"{server.url}/set.tar", size=len(CONTENT), md5=MD5)


def get(source: Source, folder: Path, **how) -> Path:
    return obtain(source, folder, pause=0.001, timeout=0.2, **how)


def test_a_whole_file_arrives_under_its_name(source, tmp_path):
    assert get(source, tmp_path / "new").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["set.tar"]


def test_a_dropped_connection_is_resumed_where_it_ended(source, server, tmp_path):
    server.faults = ["drop", "drop"]
    assert get(source, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_a_stopped_run_is_resumed_by_the_next(source, server, tmp_path):
    server.faults = ["drop", 503]
    with pytest.raises(DasError, match=r"set.tar: .* failed 1 times \(HTTP 503 .*resume at 100000 bytes"):
        get(source, tmp_path, attempts=1)
    assert not (tmp_path / "set.tar").exists()
    assert get(source, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=100000-"


def test_a_server_that_ignores_ranges_starts_the_file_afresh(source, server, tmp_path):
    server.faults = ["drop", "whole"]
    assert get(source, tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_whole_already_is_only_verified(server, tmp_path):
    server.files["set.tar"] = CONTENT
    (tmp_path / "set.tar.part").write_bytes(CONTENT)
    no_size = Source("set.tar", url=f"{server.url}/set.tar", md5=MD5)
    assert get(no_size, tmp_path).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_progress_renews_the_patience(source, server, tmp_path):
    server.faults = ["drop"] * 6
    assert get(source, tmp_path, attempts=2).read_bytes() == CONTENT


def test_a_wrong_checksum_is_refused_and_nothing_kept(source, server, tmp_path):
    server.files["set.tar"] = CONTENT[:-1] + b"\0"
    with pytest.raises(DasError, match=f"md5 [0-9a-f]{{32}}, expected {MD5}"):
        get(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_on_the_server_is_refused(source, server, tmp_path):
    server.files["set.tar"] = CONTENT[:1000]
    with pytest.raises(DasError, match="offers 1000 bytes, expected 200000"):
        get(source, tmp_path)


def test_not_found_fails_at_once(source, server, tmp_path):
    del server.files["set.tar"]
    with pytest.raises(DasError, match=r"cannot be had \(HTTP 404"):
        get(source, tmp_path)
    assert len(server.ranges) == 1


def test_an_unwell_server_is_asked_again(source, server, tmp_path):
    server.faults = [503, 500, "silent"]
    assert get(source, tmp_path).read_bytes() == CONTENT
    assert len(server.ranges) == 4


def test_pauses_double(source, server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.faults = [503] * 4
    with pytest.raises(DasError, match="failed 4 times"):
        obtain(source, tmp_path, attempts=4, pause=1.0)
    assert pauses == [1, 2, 4]


def test_a_slow_server_is_waited_for(source, server, tmp_path):
    server.files["set.tar"] = CONTENT[:20_000]
    server.delay = 0.05
    slow = Source("set.tar", url=source.url, md5=hashlib.md5(CONTENT[:20_000]).hexdigest())
    assert get(slow, tmp_path).stat().st_size == 20_000


def test_a_full_disk_is_noticed_before_the_download(source, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1 << 20))
    with pytest.raises(DasError, match=r"has 1 MiB free, set\.tar\.part needs 64 MiB"):
        get(source, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_url_and_a_file_that_is_there(tmp_path):
    (tmp_path / "elsewhere.tar").write_bytes(CONTENT)
    local = Source("set.tar", url=(tmp_path / "elsewhere.tar").as_uri(), md5=MD5)
    assert get(local, tmp_path / "raw").read_bytes() == CONTENT
    (tmp_path / "elsewhere.tar").unlink()
    assert get(local, tmp_path / "raw").read_bytes() == CONTENT
    (tmp_path / "raw" / "set.tar").write_bytes(CONTENT[1:])
    with pytest.raises(DasError, match="delete it and fetch again"):
        get(local, tmp_path / "raw")
    with pytest.raises(DasError, match="cannot be had"):
        get(local, tmp_path / "other")


def test_other_schemes_are_refused(tmp_path):
    with pytest.raises(DasError, match="should begin with http"):
        get(Source("x", url="ftp://example.org/x"), tmp_path)


def test_a_mirror_keeps_the_official_checksum_and_a_new_checksum_replaces_it():
    name = "cifar-10-python.tar.gz"
    mirrored = sources("cifar10", TABLE, {name: {"url": "http://mirror/x"}})[0]
    assert (mirrored.url, mirrored.md5) == ("http://mirror/x", "c58f30108f718f92721af3b95e74349a")
    other = sources("cifar10", TABLE, {name: {"url": "file:///x", "sha256": "0" * 64}})[0]
    assert (other.md5, other.size, other.sha256) == (None, None, "0" * 64)


@pytest.mark.parametrize(
    ("dataset", "overrides", "message"),
    [
        ("cifar10", {"cifar-10.tar": {}}, "has no such file; it has cifar-10-python.tar.gz"),
        ("cifar10", {"cifar-10-python.tar.gz": {"mdfive": ""}}, "mdfive: unknown key"),
        ("cifar11", {}, "lists no data set 'cifar11'"),
    ],
)
def test_wrong_overrides_are_named(dataset, overrides, message):
    with pytest.raises(DasError, match=message):
        sources(dataset, TABLE, overrides)


def test_a_login_is_explained_and_what_was_put_there_is_verified(tmp_path):
    with pytest.raises(
        DasError, match=r"needs a login; download leftImg8bit.*, gtFine.* from https://www.citysc.* into"
    ):
        fetch("cityscapes", tmp_path, table=TABLE)
    for name in ("leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"):
        (tmp_path / name).write_bytes(CONTENT)
    with pytest.raises(DasError, match="expected 0a6e97e94b616a514066c9e2adb0c97f"):
        fetch("cityscapes", tmp_path, table=TABLE)
    given = {p.name: {"md5": MD5} for p in tmp_path.iterdir()}
    assert len(fetch("cityscapes", tmp_path, table=TABLE, overrides=given)) == 2


def test_every_listed_file_is_verifiable_and_its_facts_have_a_source():
    from das.study.registry import entries

    table = yaml.safe_load(TABLE.read_text())
    readers = {entry.name: entry.facts for entry in entries("reader")}
    assert set(table) == {name for name, facts in readers.items() if (facts["root"] or "").startswith("data/raw/")}
    for dataset, entry in table.items():
        assert entry["read_in"]
        assert readers[dataset]["login"] == ("page" in entry)
        for source in sources(dataset, TABLE):
            assert len(source.md5) == 32
            assert (source.url is None) == readers[dataset]["login"]
