"""Every server of tests/faults/downloads.py leaves a whole file or a refusal of one line, soon; and what else a source
can be that none is."""

import os
import time
from urllib.error import HTTPError
from urllib.request import Request

import pytest
from tests.faults.downloads import CASES, MD5, attempt, endless, head, serving

from das.data import download
from das.data.download import Source, fetch, obtain, sources
from das.errors import DasError


@pytest.mark.parametrize("case", CASES)
def test_servers_that_misbehave(case, tmp_path):
    said, seconds = attempt(case, tmp_path)
    words = CASES[case][1]
    assert words in said if words else not said
    assert "\n" not in said
    assert seconds < 15


def test_a_file_of_no_stated_size_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "UNSTATED", 5 << 20)
    with serving(endless(head())) as url, pytest.raises(DasError, match="does not end; state its size"):
        obtain(Source("x", url=url, md5=MD5), tmp_path, attempts=1, timeout=2)


@pytest.mark.parametrize(
    ("url", "fine"),
    [("https://b/x", True), ("http://b/x", False), ("ftp://b/x", False), ("file:///x", False)],
)
def test_an_encrypted_connection_is_never_left(url, fine):
    follow = download._Redirects().redirect_request
    arguments = (Request("https://a/x"), None, 302, "Found", {}, url)
    if fine:
        assert follow(*arguments).full_url == url
    else:
        with pytest.raises(HTTPError, match="leads from https to"):
            follow(*arguments)


@pytest.mark.parametrize(
    "url",
    [None, 3, "", "x", "http://", "http://a:b/", "http://[::1", "http://a/b c", "http://a/\r\nX: y", "ftp://a/b",
     "file:", "file://host/x", "file:///", "file:///nowhere/x", "file:///dev/zero"],
)  # fmt: skip
def test_addresses_that_are_none_are_refused_at_once(url, tmp_path):
    start = time.monotonic()
    with pytest.raises(DasError, match=r"^x[.:]"):
        obtain(Source("x", url=url, md5=MD5), tmp_path)
    assert time.monotonic() - start < 1


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DasError, match="is no file"):
        obtain(Source("x", url=(tmp_path / "pipe").as_uri(), md5=MD5), tmp_path / "raw")


TABLE = "few: {files: {x.tar: {url: 'http://a/x', size: 5, md5: %s}}, read_in: [nowhere]}" % ("0" * 32)


@pytest.mark.parametrize("given", [{"md5": None}, {"size": None}, {"sha256": None}, {"url": "http://mirror/x"}])
def test_null_takes_no_checksum_away(given, tmp_path):
    (tmp_path / "sources.yaml").write_text(TABLE.replace("0" * 32, "a" * 32))
    (found,) = sources("few", tmp_path / "sources.yaml", {"x.tar": given})
    assert (found.size, found.md5) == (5, "a" * 32)


@pytest.mark.parametrize(
    ("given", "words"),
    [({"md5": 3}, "md5: is 3"), ({"md5": "x"}, "hexadecimal digits"), ({"size": "5"}, "size: is '5'"), ({"size": 0},
      "size"), ({"url": 3}, "url: is 3"), (3, "is 3"), ({"page": "x"}, "page: unknown key")],
)  # fmt: skip
def test_fields_that_cannot_be_are_named(given, words, tmp_path):
    (tmp_path / "sources.yaml").write_text(TABLE.replace("0" * 32, "a" * 32))
    with pytest.raises(DasError, match=rf"sources\.x\.tar.*{words}"):
        sources("few", tmp_path / "sources.yaml", {"x.tar": given})


def test_folders_in_the_way_are_named(tmp_path):
    (tmp_path / "sources.yaml").write_text(TABLE.replace("0" * 32, "a" * 32))
    (tmp_path / "file").write_text("")
    with pytest.raises(DasError, match="cannot be made"):
        fetch("few", tmp_path / "file" / "raw", table=tmp_path / "sources.yaml")
    (tmp_path / "raw" / "x.tar").mkdir(parents=True)
    with pytest.raises(DasError, match=r"x\.tar: (has|cannot be read)"):
        fetch("few", tmp_path / "raw", table=tmp_path / "sources.yaml")
