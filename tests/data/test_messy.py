"""One's own images as people have them: every trouble is read well, left out with a word, or named."""

import io
import os
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import das.data
from das.data import listing, splits
from das.data.batches import Batches
from das.data.check import check
from das.errors import DasError

RANDOM = np.random.default_rng(0)


def picture(height: int = 30, width: int = 40) -> np.ndarray:
    """A picture unlike any other, uint8 (H, W, 3)."""
    small = Image.fromarray(RANDOM.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return np.array(small.resize((width, height), Image.Resampling.BICUBIC))


def encoded(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None, **how) -> bytes:
    out = io.BytesIO()
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(out, kind, **how)
    return out.getvalue()


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def classes(count: int, *names: str, prefix: str = "") -> dict[str, bytes]:
    return {f"{prefix}{name}/{i}.png": encoded(picture()) for name in names for i in range(count)}


@pytest.fixture(scope="module")
def messy(tmp_path_factory) -> Path:
    """Two classes with a test set, and more than 25 kinds of trouble."""
    root = tmp_path_factory.mktemp("messy")
    turned = Image.Exif()
    turned[274] = 6
    whole = encoded(picture(), "JPEG")
    again = encoded(picture())
    header = b"IHDR" + struct.pack(">2I5B", 1 << 14, 1 << 14, 8, 2, 0, 0, 0)  # of 256 megapixels
    alpha = np.dstack([picture(), np.full((30, 40), 100, np.uint8)])
    write(root, classes(4, "ant", "bee", prefix="Train/") | classes(2, "ant", "bee", prefix="TEST/"))
    write(root / "Train/ant", {
        "turned.jpg": encoded(picture(), "JPEG", exif=turned),
        "UPPER.JPG": encoded(picture(), "JPEG"),
        "photo.webp": encoded(picture(), "WEBP"),
        "scan.tif": encoded(picture(), "TIFF"),
        "old.bmp": encoded(picture(), "BMP"),
        "moving.gif": encoded(picture()[..., 0], "GIF", save_all=True, append_images=[Image.new("L", (40, 30))]),
        "deep.png": encoded(picture()[..., 0].astype(np.uint16) * 257),
        "float.tiff": encoded(picture()[..., 0].astype(np.float32) / 255, "TIFF"),
        "clear.png": encoded(alpha),
        "gray.png": encoded(picture()[..., 0]),
        "ink.jpg": encoded(picture(), "JPEG", mode="CMYK"),
        "indexed.png": encoded(picture(), mode="P"),
        "really_png.jpg": encoded(picture()),
        "deeper/below/x.png": encoded(picture()),
        "ünï cödé 图.png": encoded(picture()),
        "twin.png": again,
    })  # fmt: skip
    write(root / "TEST/ant", {"twin.png": again})
    write(root / "Train/bee", {
        "cut.jpg": whole[: len(whole) // 2],
        "empty.png": b"",
        "page.jpg": b"<!DOCTYPE html><html>404</html>",
        "phone.heic": b"\0\0\0\x1cftypheic",
        "phone.jpg": b"\0\0\0\x1cftypheic" + bytes(40),
        "bomb.png": b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT",
        "notes.txt": b"",
        "nameless": b"",
        "._0.png": b"Mac OS X",
        ".DS_Store": b"",
        "Thumbs.db": b"",
        "twin_of_ant.png": again,
    })  # fmt: skip
    write(
        root,
        {"Train/__MACOSX/ant/x.png": b"", "Train/stray.png": encoded(picture()), "README": b"", "extra/x.png": b""},
    )
    (root / "Train/bee/link.png").symlink_to(root / "nowhere.png")
    (root / "Train/bee/loop").symlink_to(root / "Train")
    (root / "Train/bee/folder.png").mkdir()
    os.mkfifo(root / "Train/bee/pipe.png")
    return root


#: What a check of the messy folder says: a word for each trouble.
SAID = [
    r"^ant: 20 to train on, 3 to test on, 0 ignored, 0 damaged$",  # every good image counts, whatever its kind
    r"^bee: 10 to train on, 2 to test on, 3 ignored \(1 .heic, 1 .txt, 1 without suffix\), 8 damaged$",
    r"^1 images turned upright as their EXIF data say$",
    r"^1 images of 16 bits a channel: 65535 becomes 255$",
    r"^1 images gray floats",
    r"^1 images with transparency: laid over white$",
    r"^1 images of several frames or pages: the first is taken$",
    r"^left out: 4 hidden files or leftovers of operating systems, as ",  # ._0.png, .DS_Store, Thumbs.db, __MACOSX
    r"^left out: 1 files beside the folders of classes, as .*stray.png$",
    r"^not read: extra/ beside Train/$",
    r"^repeated: 1 test images are among the training images: ",
    r"^repeated: 1 images are in two classes: ",
    r"^sizes, height x width: 30 x 40 \(\d+\), 40 x 30 \(1\)$",
]
FAULTS = [
    r"cut\.jpg: damaged image",
    r"empty\.png: not a readable image \(an empty file\)",
    r"page\.jpg: not a readable image \(a page of text\)",
    r"phone\.jpg: not a readable image \(HEIC",
    r"bomb\.png: .*bomb",
    r"link\.png: links to nothing",
    r"loop: links to a folder above it",
    r"pipe\.png: no plain file",
]


def test_a_check_names_every_trouble(messy):

    found = check(messy, None, 0.2)
    for pattern in SAID:
        assert sum(bool(re.search(pattern, line)) for line in found.lines) == 1, (pattern, found.lines)
    for pattern in FAULTS:
        assert sum(bool(re.search(pattern, line)) for line in found.faults) == 1, (pattern, found.faults)
    assert len(found.faults) == len(FAULTS)
    assert len(found.lines) == len(SAID)


def test_a_reading_stops_with_one_line_or_goes_on_with_the_rest(messy):
    """The same folder through the reader: what decodes is read upright and in color, what does not is named."""
    with pytest.raises(DasError, match=r"link\.png: links to nothing") as caught:
        das.data.load("folder", root=messy, options={"size": 16})
    assert len(str(caught.value).splitlines()) == 1
    with pytest.warns(UserWarning, match="skipped 5 damaged images of 30"):
        train = das.data.load("folder", root=messy, options={"size": 16, "damaged": "skip"}).train
    assert train.labels.bincount().tolist() == [20, 5]
    streamed = das.data.load("folder", root=messy, options={"size": 16, "damaged": "skip", "stream": True})
    with pytest.warns(UserWarning, match="skipped 5 damaged"):
        batches = torch.cat([images for images, _ in Batches(streamed.train, 5).epoch()])
    assert torch.equal(batches, train.images / 255)


def test_the_command_prints_all_of_it_and_draws_a_sheet(messy, tmp_path):
    command = [Path(sys.executable).parent / "das", "check", messy, "--sheet", tmp_path / "sheet.png"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[-1] == f"{len(FAULTS)} faults"
    assert done.stderr == ""
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert len(sheet.getcolors(sheet.width * sheet.height)) > 1000  # pictures, not an empty page
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]


# -- parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "train", "test", "said"),
    [
        (classes(3, "a", "b", prefix="train/") | classes(2, "a", "b", prefix="test/"), [3, 3], [2, 2], None),
        (classes(3, "a", "b", prefix="TRAIN/") | classes(2, "a", "b", prefix="Testing/"), [3, 3], [2, 2], None),
        (
            classes(3, "a", "b", prefix="train/") | classes(2, "a", "b", prefix="Valid/"),
            [3, 3],
            [2, 2],
            "no test images: the 4 validation images are tested on",
        ),
        (
            classes(3, "a", "b", prefix="train/")
            | classes(1, "a", "b", prefix="val/")
            | classes(2, "a", "b", prefix="test/"),
            [3, 3],
            [2, 2],
            "not read: 2 validation images; tested is on the test images alone",
        ),
        (
            classes(10, "a", "b", prefix="train/"),
            [8, 8],
            [2, 2],
            "no test images: a share of the training images is held out and tested on",
        ),
        (classes(10, "a", "train"), [8, 8], [2, 2], None),  # a class of trains
    ],
)
def test_parts_are_found_by_their_names(tmp_path, files, train, test, said, capsys):
    dataset = das.data.load("folder", root=write(tmp_path, files), options={"size": 8})
    assert dataset.train.labels.bincount().tolist() == train
    assert dataset.test.labels.bincount().tolist() == test
    assert (said or "") in capsys.readouterr().out


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"train/1.png": b"", "val/2.png": b""}, r"its folders train/, val/ hold no folders of classes"),
        (classes(5, "a", "b", prefix="test/"), r"holds test/ and no train/"),
        (
            classes(5, "a", "b", prefix="train/") | classes(5, "a", "b", prefix="Train/"),
            r"holds Train/ and train/, which both say train; keep one",
        ),
        (classes(5, "a") | classes(4, "b"), r"class 'b' has 4 images; 5 are needed, so that a share of 0.2"),
        (
            classes(5, "a", "b", prefix="train/") | classes(1, "a", "c", prefix="test/"),
            r"class 'b' has 5 training and 0 test images; 2 and 1 are needed; class 'c' has 0 training",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path, files, message):
    with pytest.raises(DasError, match=message):
        das.data.load("folder", root=write(tmp_path, files))


@pytest.mark.parametrize("share", [0.05, 0.2, 1 / 3, 0.5, 0.9])
def test_the_summary_counts_as_the_split_does(share):
    sizes = [7, 40, 1, 13, 100, 0, 5]
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    _, held = splits.holdout(labels, share, "x")
    assert listing.shares(sizes, share) == labels[held].bincount(minlength=len(sizes)).tolist()
    for before in range(20):  # the number said to be needed suffices, wherever the class stands
        least = listing.needed(share)
        tested = listing.shares([before, least], share)[1]
        assert tested >= 1
        assert least - tested >= 2


# -- labels in a table -----------------------------------------------------------------------------------------------


def tabled(tmp_path: Path, text: str | bytes, name: str = "labels.csv") -> Path:
    root = write(tmp_path, {f"all/{i}.png": encoded(picture()) for i in range(12)})
    (root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return root


def test_labels_come_from_a_table(tmp_path, capsys):
    rows = "".join(f"all/{i}.png,{'cat' if i % 2 else 'dog'},{'TRAIN' if i < 6 else 'test'}\n" for i in range(10))
    root = tabled(tmp_path, "\ufefffile,label,split\n" + rows)
    dataset = das.data.load("folder", root=root, options={"size": 8})
    assert dataset.classes == ("cat", "dog")
    assert (len(dataset.train), len(dataset.test)) == (6, 4)
    first = das.data.decode.image((root / "all/0.png").read_bytes(), "0")
    from das.data.crops import Center, cut

    shown = {image.numpy().tobytes(): int(label) for image, label in zip(*vars(dataset.train).values(), strict=False)}
    assert shown[cut(first, Center(8).box(*first.shape[1:]), 8).numpy().tobytes()] == 1  # a dog
    assert "not read: 2 images that labels.csv does not name" in capsys.readouterr().out


def test_a_table_may_have_another_name_more_columns_and_semicolons(tmp_path):
    rows = "".join(f"{i};all\\{i}.png;{'ab'[i % 2]}\n" for i in range(12))
    root = tabled(tmp_path, "id;File;Label\n" + rows, "mine.csv")
    dataset = das.data.load("folder", root=root, options={"size": 8, "labels": "mine.csv"})
    assert len(dataset.train) == 10
    assert len(dataset.test) == 2


ROWS = "".join(f"all/{i}.png,{'ab'[i % 2]}\n" for i in range(12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,class\n" + ROWS, "its first line is 'name,class'; should be file,label"),
        ("file,label\n" + ROWS + "all/99.png,a\n", r"line 14: 'all/99.png' is not in "),
        ("file,label\n" + ROWS + "../secret.png,a\n", r"'../secret.png' is not in "),
        ("file,label\n" + ROWS + "all/0.png,b\n", r"'all/0.png' is 'b' here and 'a' above"),
        ("file,label\n" + ROWS + "labels.csv,b\n", "'labels.csv' is no image"),
        ("file,label\n" + ROWS + "all/1.png,\n", "line 14: has no label"),
        ("file,label,split\n" + ROWS.replace("b\n", "b,dev\n"), "split is 'dev'; should be train, val or test"),
        ("file,label,split\n" + ROWS.replace("b\n", "b,train\n"), "files have no split and others do"),
        ("file,label\n" + ROWS.replace(",b", ",a"), "names 1 labels; at least 2 are needed"),
        ("file,label\nall/ü.png,a\n".encode("latin-1"), "is not UTF-8"),
        ('file,label\n"all/0.png,a\n', "is no CSV"),
        ("", "its first line is ''"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(tmp_path, text, message):
    with pytest.raises(DasError, match=message):
        das.data.load("folder", root=tabled(tmp_path, text))


# -- archives --------------------------------------------------------------------------------------------------------


def test_an_archive_is_read_as_the_folder_it_holds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = write(tmp_path / "photos", classes(5, "a", "b") | {".DS_Store": b"", "__MACOSX/x.png": b""})
    with zipfile.ZipFile("photos.zip", "w") as packed:
        for file in sorted(root.rglob("*")):
            packed.write(file, file.relative_to(tmp_path))
    plain, archive = (das.data.load("folder", root=p, options={"size": 8}) for p in (root, Path("photos.zip")))
    assert plain.train.digest == archive.train.digest
    assert plain.test.digest == archive.test.digest
    assert check(Path("photos.zip"), None, 0.2).faults == []
    with zipfile.ZipFile("evil.zip", "w") as packed:
        packed.writestr("../outside.png", b"")
    for read in (lambda: das.data.load("folder", root=Path("evil.zip")), lambda: check(Path("evil.zip"), None, 0.2)):
        with pytest.raises(DasError, match=r"evil.zip: member '../outside.png'"):
            read()
    assert not (tmp_path / "outside.png").exists()
    Path("photos.rar").write_bytes(b"Rar!")
    with pytest.raises(DasError, match=r"photos.rar: is no folder of images, and no archive of one \(.zip, .tar"):
        check(Path("photos.rar"), None, 0.2)
    assert len(list((tmp_path / "results/work/unpacked").iterdir())) == 1


def test_the_page_shows_what_is_printed(tmp_path, monkeypatch, capsys):
    """docs/data.md, on a folder of photographs as a telephone takes them."""
    import typer

    from das.cli.runs import check as command

    monkeypatch.chdir(tmp_path)
    turned = Image.Exif()
    turned[274] = 6
    files = {
        f"photos/ant/{i}.jpg": encoded(picture(), "JPEG", **({"exif": turned} if i < 4 else {})) for i in range(20)
    }
    files |= {f"photos/bee/{i}.jpg": encoded(picture(), "JPEG") for i in range(14)}
    files |= {"photos/bee/7.jpg": b"", "photos/bee/a.heic": b"", "photos/bee/notes.txt": b"", "photos/.DS_Store": b""}
    write(tmp_path, files)
    with pytest.raises(typer.Exit):
        command(Path("photos"), None, 0.2, Path("sheet.png"))
    page = (Path(__file__).parents[2] / "docs/data.md").read_text()
    assert f"$ uv run das check photos --sheet sheet.png\n{capsys.readouterr().out}```" in page
