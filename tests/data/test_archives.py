"""Archives, pickles and images that mean harm are refused with one line."""

import io
import os
import pickle
import struct
import tarfile
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from PIL import Image

from das.data import archives, decode, pickles
from das.errors import DasError


def tar_with(path, name: str, kind=tarfile.REGTYPE, link: str = "") -> None:
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        archive.addfile(info, io.BytesIO())


@pytest.mark.parametrize(
    ("name", "kind", "link"),
    [
        ("../outside", tarfile.REGTYPE, ""),
        ("good/../../outside", tarfile.REGTYPE, ""),
        ("/etc/outside", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.SYMTYPE, "inside"),
        ("link", tarfile.LNKTYPE, "../outside"),
        ("pipe", tarfile.FIFOTYPE, ""),
        ("device", tarfile.CHRTYPE, ""),
    ],
)
def test_hostile_tar_members_are_refused(tmp_path, name, kind, link):
    tar_with(tmp_path / "bad.tar", name, kind, link)
    (tmp_path / "into").mkdir()
    with pytest.raises(DasError, match=r"bad.tar: member .* is a link, a device or outside"):
        archives.extract(tmp_path / "bad.tar", tmp_path / "into")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["bad.tar", "into"]


@pytest.mark.parametrize("name", ["../outside", "/outside", "a\\..\\..\\outside", "C:\\outside", "link"])
def test_hostile_zip_members_are_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        info = zipfile.ZipInfo("x")
        info.filename = name
        if name == "link":
            info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    (tmp_path / "into").mkdir()
    with pytest.raises(DasError, match=r"bad.zip: member .* is a link, a device or outside"):
        archives.extract(tmp_path / "bad.zip", tmp_path / "into")
    assert list((tmp_path / "into").iterdir()) == []


@pytest.mark.parametrize("name", ["bomb.zip", "bomb.tar.gz"])
def test_decompression_bombs_are_refused(tmp_path, name):
    zeros = bytes(archives.FLOOR // 2 + 1)
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a", zeros)
            archive.writestr("b", zeros)
    else:
        with tarfile.open(path, "w:gz") as archive:
            for member in "ab":
                info = tarfile.TarInfo(member)
                info.size = len(zeros)
                archive.addfile(info, io.BytesIO(zeros))
    with pytest.raises(DasError, match="unpacks to more than 64 MiB at 'b'; taken for a bomb"):
        list(archives.members(path))


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
@pytest.mark.parametrize("harm", ["cut", "changed", "text", "absent"])
def test_damaged_archives_are_refused(tmp_path, name, harm):
    path = tmp_path / name
    content = np.random.default_rng(0).bytes(50_000)
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("member", content)
    else:
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            info = tarfile.TarInfo("member")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    whole = path.read_bytes()
    if harm == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif harm == "text":
        path.write_text("<html>404</html>")
    elif harm == "absent":
        path.unlink()
    elif name == "set.tar":
        pytest.skip("a plain tar has no checksum of its content")
    else:
        path.write_bytes(whole[:20_000] + b"\0" * 20 + whole[20_020:])
    with pytest.raises(DasError, match=rf"{name}: (damaged archive|not found)"):
        list(archives.members(path))


def test_members_and_extract_agree_with_what_was_packed(tmp_path):
    files = {"a/b.txt": b"one", "a/c.txt": b"two", "d.txt": b""}
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    assert dict(archives.members(tmp_path / "set.zip")) == files
    archives.extract(tmp_path / "set.zip", tmp_path / "out", lambda name: f"x/{name}" if name != "d.txt" else None)
    found = {p.relative_to(tmp_path / "out").as_posix(): p.read_bytes() for p in tmp_path.glob("out/**/*.txt")}
    assert found == {"x/a/b.txt": b"one", "x/a/c.txt": b"two"}


class Hostile:
    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize(
    "harm",
    [Hostile(os.system, "touch hacked"), Hostile(eval, "1"), Hostile(exec, "x = 1"), Hostile(getattr, "text", "upper")],
    ids=["system", "eval", "exec", "getattr"],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_hostile_pickles_are_refused(tmp_path, monkeypatch, harm, protocol):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DasError, match=r"set: hostile pickle: it asks for \w+\.\w+"):
        pickles.loads(pickle.dumps({"data": harm}, protocol=protocol), "set")
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_codec_is_refused():
    # what `_codecs.encode("x", "zlib_codec")` looks like in protocol 0
    with pytest.raises(DasError, match="the codec 'zlib_codec'"):
        pickles.loads(b"c_codecs\nencode\n(Vx\nVzlib_codec\ntR.", "set")


@pytest.mark.parametrize("content", [b"", b"garbage", pickle.dumps([1, 2, 3])[:-3]])
def test_damaged_pickles_are_refused(content):
    with pytest.raises(DasError, match="set: not a readable pickle"):
        pickles.loads(content, "set")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_honest_pickles_are_read(protocol):
    honest = {b"data": np.arange(12, dtype=np.uint8).reshape(3, 4), b"labels": [1, 2], b"names": [b"a", b"b"]}
    if protocol == 5:  # protocol 5 pickles arrays by another function, which CIFAR's files never use
        honest.pop(b"data")
    read = pickles.loads(pickle.dumps(honest, protocol=protocol), "set")
    assert read[b"labels"] == [1, 2]
    assert read[b"names"] == [b"a", b"b"]
    if protocol < 5:
        np.testing.assert_array_equal(read[b"data"], honest[b"data"])


def test_python_2_arrays_are_read():
    # A batch as Python 2 and numpy 1 wrote it: text is bytes, the array's module is numpy.core.multiarray.
    content = (
        b"(dp0\nS'data'\np1\ncnumpy.core.multiarray\n_reconstruct\np2\n(cnumpy\nndarray\np3\n(I0\ntS'b'\ntRp4\n"
        b"(I1\n(I2\nI3\ntcnumpy\ndtype\np5\n(S'u1'\nI0\nI1\ntRp6\n(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS'abcdef'\ntbs."
    )
    read = pickles.loads(content, "set")
    np.testing.assert_array_equal(read[b"data"], np.frombuffer(b"abcdef", np.uint8).reshape(2, 3))


def png_claiming(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [9_000, 60_000])
def test_image_bombs_are_refused_before_decoding(side):
    with pytest.raises(decode.Damaged, match=r"x.png: .*(bomb|Bomb)"):
        decode.image(png_claiming(side, side), "x.png")
    with pytest.raises(decode.Damaged, match=r"x.png: .*(bomb|Bomb)"):
        decode.mask(png_claiming(side, side), "x.png")


def test_damaged_images_are_named():
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(out, "JPEG")
    whole = out.getvalue()
    assert decode.image(whole, "x.jpg").shape == (3, 64, 64)
    for damaged in (whole[: len(whole) // 2], b"", b"text", b"\xff\xd8" + bytes(100)):
        with pytest.raises(decode.Damaged, match=r"x\.jpg: "):
            decode.image(damaged, "x.jpg")


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "RGBA", "LA"])
def test_images_of_any_mode_become_rgb(mode):
    gray = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    picture = Image.fromarray(np.stack([gray, gray.T, 255 - gray], 2)).convert(mode)
    out = io.BytesIO()
    picture.save(out, "JPEG" if mode == "CMYK" else "PNG", **({"quality": 100} if mode == "CMYK" else {}))
    expected = np.asarray(picture.convert("RGB")).transpose(2, 0, 1).astype(int)
    error = np.abs(decode.image(out.getvalue(), "x").numpy().astype(int) - expected)
    assert error.mean() < (3 if mode == "CMYK" else 0.5)


def test_nobody_is_warned_of_the_decoders_future(recwarn):
    warnings.simplefilter("always")
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    decode.image(out.getvalue(), "x")
    assert not recwarn.list


def test_masks_keep_their_values_and_color_is_no_mask():
    values = np.arange(24, dtype=np.uint8).reshape(4, 6)
    indexed = Image.fromarray(values)
    indexed.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    for picture in (Image.fromarray(values), indexed):
        out = io.BytesIO()
        picture.save(out, "PNG")
        np.testing.assert_array_equal(decode.mask(out.getvalue(), "m").numpy(), values)
    out = io.BytesIO()
    Image.new("RGB", (4, 4), (9, 0, 0)).save(out, "PNG")
    with pytest.raises(decode.Damaged, match="m: mode RGB; a mask is a gray or palette PNG"):
        decode.mask(out.getvalue(), "m")
