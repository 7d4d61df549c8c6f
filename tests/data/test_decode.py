"""Image files of every kind to pixels, against their definitions."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from das.data import decode

RANDOM = np.random.default_rng(0)
SMOOTH = np.array(Image.fromarray(RANDOM.integers(0, 256, (5, 6, 3), dtype=np.uint8)).resize((48, 40)))


def encoded(picture: Image.Image | np.ndarray, kind: str, **how) -> bytes:
    out = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(out, kind, **how)
    return out.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return decode.image(content, "x").permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("kind", "how"), [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("BMP", {})])
def test_lossless_formats_give_the_pixels_back(kind, how):
    np.testing.assert_array_equal(decoded(encoded(SMOOTH, kind, **how)), SMOOTH)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_and_plain_png_are_what_torchvision_decodes(mode):
    from torchvision.io import ImageReadMode

    files = [encoded(Image.fromarray(SMOOTH).convert(mode), "JPEG")]
    files += [encoded(Image.fromarray(SMOOTH).convert(m), "PNG") for m in (mode, "P", "1") if m != "CMYK"]
    for content in files:
        raw = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        assert torch.equal(decode.image(content, "x"), torch.ops.image.decode_image(raw, ImageReadMode.RGB.value))


def test_the_first_frame_of_an_animation_and_the_first_page_count():
    frames = [Image.fromarray(np.full((8, 8, 3), value, np.uint8)) for value in (40, 90, 200)]
    for kind in ("GIF", "TIFF", "WEBP"):
        how = {"lossless": True} if kind == "WEBP" else {}
        content = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **how)
        assert np.unique(decoded(content)).tolist() == [40]


#: Orientation: where the picture's first stored row and first stored column are, seen upright (EXIF 2.32, 4.6.4).
SEEN = {
    1: ("top", "left"),
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}
EDGE = {"top": np.s_[0], "bottom": np.s_[-1], "left": np.s_[:, 0], "right": np.s_[:, -1]}


@pytest.mark.parametrize("orientation", SEEN)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind, orientation):
    stored = np.full((32, 48, 3), 128, np.uint8)
    stored[:, :8], stored[:8] = 0, 255  # first columns dark, first rows bright
    exif = Image.Exif()
    exif[274] = orientation
    seen = decoded(encoded(stored, kind, exif=exif))
    row, column = SEEN[orientation]
    assert seen.shape == ((48, 32, 3) if row in ("left", "right") else (32, 48, 3))
    assert np.median(seen[EDGE[row]]) > 240
    assert np.median(seen[EDGE[column]]) < 15


def test_stored_order_can_be_had():
    exif = Image.Exif()
    exif[274] = 6
    content = encoded(SMOOTH, "PNG", exif=exif)
    assert torch.equal(decode.image(content, "x", upright=False), decode.image(encoded(SMOOTH, "PNG"), "x"))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_what_is_transparent_lies_over_white(kind):
    alpha = np.repeat(np.arange(48, dtype=np.uint8)[None] * 5, 40, 0)
    how = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    content = encoded(np.dstack([SMOOTH, alpha]), kind, **how)
    share = alpha[..., None] / 255
    np.testing.assert_allclose(decoded(content), SMOOTH * share + 255 * (1 - share), atol=1)
    palette = encoded(Image.fromarray(SMOOTH[..., 0]).convert("P"), "PNG", transparency=int(SMOOTH[3, 4, 0]))
    seen = decoded(palette)
    np.testing.assert_array_equal(
        seen, np.where(SMOOTH[..., :1] == SMOOTH[3, 4, 0], 255, np.dstack([SMOOTH[..., 0]] * 3))
    )


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_by_their_range(kind):
    values = (np.arange(40 * 48).reshape(40, 48) * 34).astype(np.uint16)
    expected = np.round(values / 65535 * 255)
    np.testing.assert_array_equal(decoded(encoded(values, kind)), np.dstack([expected] * 3))


def test_sixteen_bits_of_color_are_read():
    """A PNG of 16-bit RGB, written by hand: neither Pillow nor torchvision writes one."""
    import struct
    import zlib

    values = (np.arange(6 * 7 * 3).reshape(6, 7, 3) * 500).astype(">u2")

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">2I5B", 7, 6, 16, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    np.testing.assert_allclose(decoded(content), values / 257, atol=1)


def test_floats_and_long_whole_numbers_are_scaled():
    share = np.linspace(0, 1, 40 * 48, dtype=np.float32).reshape(40, 48)
    np.testing.assert_array_equal(decoded(encoded(share / 2, "TIFF"))[..., 0], np.round(share.astype(float) / 2 * 255))
    np.testing.assert_allclose(decoded(encoded(share * 30 - 10, "TIFF"))[..., 0], share * 255, atol=0.51)
    whole = np.arange(40 * 48, dtype=np.int32).reshape(40, 48) * 70000
    np.testing.assert_allclose(decoded(encoded(whole, "TIFF"))[..., 0], whole / whole.max() * 255, atol=0.51)
    share[3, 3] = np.nan
    with pytest.raises(decode.Damaged, match=r"x: damaged image .*no numbers"):
        decoded(encoded(share, "TIFF"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"an empty file\); use JPEG, PNG"),
        (b"<!DOCTYPE html><html>404", "a page of text"),
        (b"\0\0\0\x1cftypheic" + bytes(20), "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a readable image"),  # Pillow would run Ghostscript
        (encoded(SMOOTH, "TIFF", compression="tiff_lzw")[:3000], "not a readable image"),
        (encoded(SMOOTH, "WEBP")[:200], "damaged image"),
        (encoded(SMOOTH, "BMP")[:1000], "damaged image"),
        (encoded(SMOOTH, "GIF")[:900], "damaged image"),
        (encoded(np.dstack([SMOOTH, SMOOTH[..., 0]]), "PNG")[:300], "damaged image"),
    ],
)
def test_what_cannot_be_decoded_is_named_in_one_line(content, message):
    with pytest.raises(decode.Damaged, match=rf"^x: .*{message}") as caught:
        decode.image(content, "x")
    assert len(str(caught.value).splitlines()) == 1
