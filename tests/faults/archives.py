"""Archives that mean harm or were damaged: how each is made, and what must happen."""

import gzip
import io
import lzma
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

from das.data.archives import extract, members
from das.errors import DasError

MEMORY = 160 << 20  # bytes that no refusal may take


def header(name: bytes, size: int = 0, kind: bytes = b"0", link: bytes = b"", raw_size: bytes | None = None) -> bytes:
    """A tar header as POSIX 1003.1 lays it out, with its checksum."""
    block = bytearray(512)
    block[:100] = name[:100].ljust(100, b"\0")
    block[100:124] = b"0000644\0" + b"0000000\0" + b"0000000\0"
    block[124:136] = raw_size or b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[148:156] = b" " * 8
    block[156:157] = kind
    block[157:257] = link[:100].ljust(100, b"\0")
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 512)


def member(name: bytes = b"a", content: bytes = b"hello", **how) -> bytes:
    return header(name, len(content), **how) + padded(content)


def pax(**records: bytes) -> bytes:
    """A pax header of these records; each says its own length."""
    text = b""
    for key, value in records.items():
        rest = b" " + key.replace("__", ".").encode() + b"=" + value + b"\n"
        length = len(rest) + 1
        while length != len(b"%d" % length + rest):
            length = len(b"%d" % length + rest)
        text += b"%d" % length + rest
    return member(b"pax", text, kind=b"x")


END = bytes(1024)
GOOD = member()


def packed(content: bytes) -> bytes:
    return gzip.compress(content, 1)


def zipped(name: str = "a", content: bytes = b"hello", method: int = zipfile.ZIP_DEFLATED, mode: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        info = zipfile.ZipInfo("x")
        info.filename, info.external_attr, info.compress_type = name, mode << 16, method
        archive.writestr(info, content)
    return out.getvalue()


def patched(content: bytes, places: dict[bytes, tuple[int, bytes]]) -> bytes:
    """``content`` with bytes written at an offset behind each signature that stands there."""
    changed = bytearray(content)
    for signature, (offset, new) in places.items():
        start = changed.find(signature) + offset
        changed[start : start + len(new)] = new
    return bytes(changed)


LOCAL, CENTRAL, LAST = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def lying_zip(size: int) -> bytes:
    """Says in both headers that its 64 MiB are ``size`` bytes."""
    new = struct.pack("<I", size)
    return patched(zipped(content=bytes(64 << 20)), {LOCAL: (22, new), CENTRAL: (24, new)})


def many(count: int) -> bytes:
    return packed(header(b"a") * count + END)


def overlapping() -> bytes:
    """A thousand entries of the central directory that all point to the same megabytes."""
    whole = zipped(content=bytes(8 << 20))
    start, stop = whole.find(CENTRAL), whole.find(LAST)
    directory, count = whole[start:stop], 1000
    last = patched(whole[stop:], {LAST: (8, struct.pack("<HHII", count, count, len(directory) * count, start))})
    return whole[:start] + directory * count + last


def base256(value: int) -> bytes:
    return (b"\x80" if value >= 0 else b"\xff") + value.to_bytes(11, "big", signed=True)


def sparse_map(entries: int) -> bytes:
    """A pax sparse member, format 1.0, whose map stands in the data."""
    numbers = padded(b"%d\n" % entries + b"0\n" * 2 * entries)
    return pax(GNU__sparse__major=b"1", GNU__sparse__minor=b"0", GNU__sparse__name=b"a", GNU__sparse__realsize=b"9") + (
        header(b"a", len(numbers)) + numbers
    )


#: name: (file name, its bytes, words of the refusal; no words: it is honest and must be read)
CASES: dict[str, tuple[str, Callable[[], bytes], str]] = {
    # out of the archive
    "tar: .. in a name": ("a.tar", lambda: member(b"../x") + END, "outside"),
    "tar: .. amid a name": ("a.tar", lambda: member(b"a/../../x") + END, "outside"),
    "tar: absolute name": ("a.tar", lambda: member(b"/tmp/x") + END, "outside"),
    "tar: name of a drive": ("a.tar", lambda: member(b"C:\\x") + END, "outside"),
    "tar: symbolic link": ("a.tar", lambda: member(b"l", b"", kind=b"2", link=b"/etc/passwd") + END, "link"),
    "tar: hard link": ("a.tar", lambda: member(b"l", b"", kind=b"1", link=b"/etc/passwd") + END, "link"),
    "tar: device": ("a.tar", lambda: member(b"d", b"", kind=b"3") + END, "device"),
    "tar: pipe": ("a.tar", lambda: member(b"d", b"", kind=b"6") + END, "device"),
    "tar: .. by a pax name": ("a.tar", lambda: pax(path=b"../../x") + GOOD + END, "outside"),
    "tar: NUL in a pax name": ("a.tar", lambda: pax(path=b"a\0b") + GOOD + END, "outside"),
    "tar: name that is empty": ("a.tar", lambda: member(b".") + END, "outside"),
    "tar: name of 5,000 letters": ("a.tar", lambda: pax(path=b"a" * 5000) + GOOD + END, "outside"),
    "tar: .. by a long name": (
        "a.tar",
        lambda: member(b"L", b"../" * 60 + b"x\0", kind=b"L") + GOOD + END,
        "outside",
    ),
    "zip: .. in a name": ("a.zip", lambda: zipped("../x"), "outside"),
    "zip: absolute name": ("a.zip", lambda: zipped("/tmp/x"), "outside"),
    "zip: backslashes": ("a.zip", lambda: zipped("a\\..\\..\\x"), "outside"),
    "zip: symbolic link": ("a.zip", lambda: zipped("l", b"/etc/passwd", mode=0o120777), "link"),
    "zip: name of 300 letters": ("a.zip", lambda: zipped("a" * 300), "outside"),
    # more than fits
    "tar.gz: long name of 9 MB": (
        "a.tar.gz",
        lambda: packed(member(b"L", b"a" * 9_000_000, kind=b"L") + GOOD + END),
        "header",
    ),
    "tar.gz: pax comment of 60 MB": ("a.tar.gz", lambda: packed(pax(comment=b"a" * 60_000_000) + GOOD + END), "header"),
    "tar.gz: global pax of 60 MB": (
        "a.tar.gz",
        lambda: packed(member(b"g", b"a" * 60_000_000, kind=b"g") + GOOD + END),
        "header",
    ),
    "tar.gz: sparse map of 2 MB": ("a.tar.gz", lambda: packed(sparse_map(500_000) + END), "header"),
    "tar.gz: sparse map that leads nowhere": (
        "a.tar",
        lambda: pax(GNU__sparse__map=b"9,9", GNU__sparse__size=b"50", GNU__sparse__name=b"a") + GOOD + END,
        "link",
    ),
    "tar.gz: 2,000 long names of one member": (
        "a.tar.gz",
        lambda: packed(member(b"L", b"a\0", kind=b"L") * 2000 + GOOD + END),
        "damaged",
    ),
    "tar.gz: 300,000 members": ("a.tar.gz", lambda: many(300_000), "members"),
    "tar.gz: 80 MiB of zeros": ("a.tar.gz", lambda: packed(member(content=bytes(80 << 20)) + END), "bomb"),
    "tar.gz: 80 MiB behind the end": ("a.tar.gz", lambda: packed(GOOD + END + bytes(80 << 20)), "bomb"),
    "tar: size of 2^80": ("a.tar", lambda: header(b"a", raw_size=base256(1 << 80)) + GOOD + END, "bomb"),
    "tar: negative size": ("a.tar", lambda: header(b"a", raw_size=base256(-512)) + GOOD + END, ""),
    "tar: long name of negative size": (
        "a.tar",
        lambda: header(b"L", kind=b"L", raw_size=base256(-1)) + GOOD + END,
        "",
    ),
    "zip: 80 MiB of zeros": ("a.zip", lambda: zipped(content=bytes(80 << 20)), "bomb"),
    "zip: 64 MiB that claim to be 9": ("a.zip", lambda: lying_zip(9), "damaged"),
    "zip: entries that overlap": ("a.zip", overlapping, ""),
    "zip: claims 4 GiB": (
        "a.zip",
        lambda: patched(zipped(), {CENTRAL: (24, b"\xfe\xff\xff\xff")}),
        "bomb",
    ),
    # what is not read
    "zip: encrypted": ("a.zip", lambda: patched(zipped(), {LOCAL: (6, b"\1\0"), CENTRAL: (8, b"\1\0")}), "encrypted"),
    "zip: packed by bzip2": ("a.zip", lambda: zipped(method=zipfile.ZIP_BZIP2), "neither stored nor deflated"),
    "zip: packed by LZMA": ("a.zip", lambda: zipped(method=zipfile.ZIP_LZMA), "neither stored nor deflated"),
    "tar.xz, damaged": ("a.tar", lambda: lzma.compress(GOOD + END)[:-20] + bytes(20), "damaged"),
    # damaged
    "tar: header damaged amid": ("a.tar", lambda: GOOD + b"\xff" * 512 + padded(b"hello") + GOOD + END, "damaged"),
    "tar: cut between members": ("a.tar", lambda: GOOD + GOOD, "damaged"),
    "tar: cut in a member": ("a.tar", lambda: GOOD + header(b"b", 9_000) + bytes(512), "damaged"),
    "tar.gz: checksum": ("a.tar.gz", lambda: packed(GOOD + END)[:-8] + b"\1" * 8, "damaged"),
    "tar.gz: cut": ("a.tar.gz", lambda: packed(GOOD + END)[:-12], "damaged"),
    "tar: number that is none": ("a.tar", lambda: header(b"a", raw_size=b"99999999999\0") + END, "damaged"),
    "zip: checksum": (
        "a.zip",
        lambda: patched(zipped(), {LOCAL: (14, b"\1\1\1\1"), CENTRAL: (16, b"\1\1\1\1")}),
        "damaged",
    ),
    "zip: cut": ("a.zip", lambda: zipped()[:-30], "damaged"),
    "zip: directory that points nowhere": (
        "a.zip",
        lambda: patched(zipped(), {LAST: (16, b"\xff\xff\0\0")}),
        "damaged",
    ),
    "zip: member that points nowhere": (
        "a.zip",
        lambda: patched(zipped(), {CENTRAL: (42, b"\xff\xff\0\0")}),
        "damaged",
    ),
    "zip: name that is no UTF-8": (
        "a.zip",
        lambda: patched(zipped("é"), {CENTRAL: (46, b"\xff\xfe")}),
        "damaged",
    ),
    "text": ("a.tar", lambda: b"<html>404</html>" * 100, "damaged"),
    "nothing": ("a.zip", lambda: b"", "damaged"),
    "a file below a file": ("a.tar", lambda: member(b"a") + member(b"a/b") + END, "cannot be written"),
}  # fmt: skip

SLOW = {"tar.gz: 300,000 members", "tar.gz: sparse map of 2 MB"}  # tens of seconds

#: Honest archives of the same makers, which must be read.
HONEST: dict[str, tuple[str, Callable[[], bytes]]] = {
    "tar": ("a.tar", lambda: GOOD + END),
    "tar.gz": ("a.tar.gz", lambda: packed(GOOD + END)),
    "tar with a long name": ("a.tar", lambda: member(b"L", b"a\0", kind=b"L") + GOOD + END),
    "tar with a pax name": ("a.tar", lambda: pax(path=b"a", mtime=b"1.5") + member(b"z") + END),
    "zip, deflated": ("a.zip", zipped),
    "zip, stored": ("a.zip", lambda: zipped(method=zipfile.ZIP_STORED)),
}


def attempt(name: str, made: bytes, folder: Path) -> tuple[str, int]:
    """The refusal of an archive, empty where it was read, and the most memory that it took; nothing may have come out
    of ``folder``/into."""
    path, into = folder / name, folder / "into"
    path.write_bytes(made)
    del made
    into.mkdir()
    tracemalloc.start()
    try:
        for _ in members(path, lambda name: False):
            pass
        extract(path, into)
        refusal = ""
    except DasError as error:
        refusal = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert {file.name for file in folder.iterdir()} == {name, "into"}
    return refusal, peak
