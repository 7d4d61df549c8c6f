"""Images with masks as people have them: tables of values and colors, other suffixes, and all faults at once."""

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import das.data
from das.data import masks
from das.data.batches import Batches
from das.data.check import check
from das.errors import DasError

RANDOM = np.random.default_rng(0)
CLASSES = ("ground", "roof", "tree")


def encoded(pixels: np.ndarray, kind: str = "PNG", **how) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **how)
    return out.getvalue()


def photo() -> bytes:
    return encoded(RANDOM.integers(0, 256, (12, 16, 3), dtype=np.uint8))


def labels(values: list[int]) -> np.ndarray:
    return RANDOM.choice(np.array(values, np.uint8), (12, 16))


@pytest.fixture
def lay(tmp_path):
    """Write images and masks below a folder: {name: mask file with its suffix, content}."""

    def go(train: dict[str, bytes], test: dict[str, bytes] | None = None, images: bool = True) -> Path:
        (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
        for part, files in (("train", train), ("test", test or train)):
            for kind in ("images", "masks"):
                (tmp_path / part / kind).mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                (tmp_path / part / "masks" / name).write_bytes(content)
                if images:
                    (tmp_path / part / "images" / f"{Path(name).stem}.png").write_bytes(photo())
        return tmp_path

    return go


def seen(dataset) -> torch.Tensor:
    """The training masks as batches hold them."""
    return torch.cat([labels for _, labels in Batches(dataset.train, 2).epoch()])


def test_tables_of_values_and_of_colors_mean_the_same(lay):
    expected = labels([0, 1, 2, 255])
    value = np.array([7, 200, 255], np.uint8)
    color = np.array([(0, 0, 0), (128, 64, 0), (1, 2, 3)], np.uint8)
    index = np.where(expected == 255, 3, expected)
    gray = np.append(value, np.uint8(0))[index]
    rgb = np.vstack([color, [[255, 255, 255]]]).astype(np.uint8)[index]
    palette = Image.fromarray(index.astype(np.uint8))
    palette.putpalette([*color.ravel(), 255, 255, 255])
    out = io.BytesIO()
    palette.save(out, "PNG")
    by_value = {"values": dict(zip(value.tolist(), CLASSES, strict=True)), "ignore": [0]}
    by_color = {"values": {"#000000": "ground", "#804000": "roof", "#010203": "tree"}, "ignore": ["#ffffff"]}
    for content, options in (
        ({"a.png": encoded(gray), "b.tif": encoded(gray, "TIFF")}, by_value),
        ({"a.png": encoded(np.dstack([gray] * 3)), "b.bmp": encoded(gray, "BMP")}, by_value),
        ({"a.png": encoded(gray.astype(np.uint16)), "b.gif": encoded(gray, "GIF")}, by_value),
        ({"a.png": encoded(rgb), "b.png": out.getvalue()}, by_color),
    ):
        root = lay(content)
        found = das.data.load("pairs", root=root, options={"size": [12, 16], **options})
        assert np.array_equal(seen(found)[0], expected)
        assert np.array_equal(seen(found)[1], expected)
        for part in ("train", "test"):
            for file in (root / part).rglob("*.*"):
                file.unlink()


@pytest.mark.parametrize(
    ("values", "ignore", "message"),
    [
        ({0: "ground", 1: "sky"}, None, r"options.values: names 'sky'; classes.txt has ground, roof, tree"),
        ({0: "ground"}, [0], r"options.ignore: 0 stands for 'ground' in options.values"),
        ({"black": "ground"}, None, "'black' should be a color, #rrggbb"),
        ({"#000000": "ground"}, [3], "3 should be a color, #rrggbb"),
        ({0: "ground"}, ["#ffffff"], "'#ffffff' should be a whole number"),
    ],
)
def test_tables_that_contradict_themselves_are_refused(values, ignore, message):
    with pytest.raises(DasError, match=message):
        masks.table(CLASSES, values, ignore)


def test_masks_of_0_and_255_are_warned_of_and_can_be_named(lay):
    """The foreground would count for nothing, and vanish."""
    content = {f"{i}.png": encoded(labels([0, 255])) for i in range(3)}
    root = lay(content)
    with pytest.warns(UserWarning, match=r"2 of 3 classes never occur in the masks: 'roof', 'tree'.*options.values"):
        plain = seen(das.data.load("pairs", root=root, options={"size": [12, 16]}))
    assert set(plain.unique().tolist()) == {0, 255}
    with pytest.warns(UserWarning, match=r"1 of 3 classes never occur in the masks: 'tree'"):
        named = das.data.load(
            "pairs", root=root, options={"size": [12, 16], "values": {0: "ground", 255: "roof"}}
        ).train
    assert torch.equal(seen(type("Set", (), {"train": named})), (plain == 255).long())


def test_every_fault_of_every_file_is_in_one_list(lay):
    good = encoded(labels([0, 1, 2]))
    root = lay({f"{i}.png": good for i in range(8)})
    part = root / "train"
    (part / "masks/0.png").unlink()
    (part / "images/1.png").unlink()
    (part / "masks/2.png").write_bytes(encoded(labels([0, 9])))
    (part / "masks/3.png").write_bytes(encoded(np.zeros((12, 12), np.uint8)))
    (part / "masks/4.png").write_bytes(good[:60])
    (part / "images/5.png").write_bytes(b"")
    (part / "masks/6.tif").write_bytes(encoded(labels([0]), "TIFF"))
    (part / "masks/7.png").write_bytes(encoded(labels([0]), "JPEG"))
    expected = [
        r"images/0\.png has no mask train/masks/0\.png",
        r"masks/1\.png has no image",
        r"2\.png: holds 9 \(\d+ pixels\), which are no class; use 0 to 2, or 255 where nothing counts",
        r"3\.png: mask is \(12, 12\), its image \(12, 16\)",
        r"masks/4\.png: damaged image",
        r"images/5\.png: not a readable image \(an empty file\)",
        r"6\.tif: is named as 6\.png is; keep one",
        r"7\.png: is a JPEG, which blurs values",
    ]
    found = check(root, None, 0.2).faults
    for pattern in expected:
        assert sum(bool(re.search(pattern, fault)) for fault in found) == 1, (pattern, found)
    assert len(found) == len(expected)
    with pytest.raises(DasError, match=r"is named as.*has no mask.*has no image") as caught:
        das.data.load("pairs", root=root)
    assert len(str(caught.value).splitlines()) == 1
    for name in ("images/0.png", "masks/1.png", "masks/6.tif"):
        (part / name).unlink()
    with pytest.raises(DasError, match=r"holds 9.*mask is.*damaged.*empty file.*blurs"):
        _ = das.data.load("pairs", root=root).train
    for number in (2, 3, 7):
        (part / f"masks/{number}.png").write_bytes(good)
    with pytest.warns(UserWarning, match=r"skipped 2 damaged images of 6: .*masks/4.png.*images/5.png"):
        train = das.data.load("pairs", root=root, options={"damaged": "skip"}).train
    assert [file.name for file in train.files] == ["2.png", "3.png", "6.png", "7.png"]


def test_a_mask_fits_the_image_as_it_is_seen(lay):
    """A photograph that EXIF turns: the mask is of the upright image, and a mask of the stored one is named."""
    turned = Image.Exif()
    turned[274] = 6
    root = lay({"a.png": encoded(np.ones((16, 12), np.uint8)), "b.png": encoded(np.ones((12, 16), np.uint8))})
    pixels = RANDOM.integers(0, 256, (12, 16, 3), dtype=np.uint8)
    for part in ("train", "test"):
        (root / part / "images/a.png").write_bytes(encoded(pixels, exif=turned))
    with pytest.warns(UserWarning, match="never occur"):
        image, _ = das.data.load("pairs", root=root, options={"size": [16, 12]}).train.native().item(0, _native(), ())
    np.testing.assert_array_equal(image.permute(1, 2, 0), np.rot90(pixels, -1))
    (root / "train/masks/a.png").write_bytes(encoded(np.ones((12, 16), np.uint8)))
    with pytest.raises(DasError, match=r"a.png: mask is \(12, 16\), its image \(16, 12\), turned as its EXIF data say"):
        _ = das.data.load("pairs", root=root).train


def _native():
    from das.data.crops import Native

    return Native()


def test_endings_parts_and_folders_as_people_have_them(tmp_path):
    (tmp_path / "classes.txt").write_text("ground\nroof\n")
    for name in ("Images", "MASKS"):
        (tmp_path / name).mkdir()
    for i in range(10):
        (tmp_path / "Images" / f"{i}.jpg").write_bytes(
            encoded(RANDOM.integers(0, 256, (12, 16, 3), dtype=np.uint8), "JPEG")
        )
        (tmp_path / "MASKS" / f"{i}_mask.gif").write_bytes(encoded(labels([0, 1]), "GIF"))
    dataset = das.data.load("pairs", root=tmp_path, options={"mask_ending": "_mask", "test_fraction": 0.3})
    assert (len(dataset.train), len(dataset.test)) == (7, 3)
    assert not set(dataset.train.files) & set(dataset.test.files)


def test_a_check_says_how_many_pixels_each_class_has_and_what_balances_them(lay):
    halves = np.repeat([[0] * 12 + [1] * 4], 12, 0).astype(np.uint8)  # 3/4 ground, 1/4 roof
    grounds = np.zeros((12, 16), np.uint8)
    root = lay({"a.png": encoded(halves), "b.png": encoded(grounds)})
    lines = check(root, None, 0.2).lines
    # ground: (9/12 + 1) / 2 of the pixels of its masks; roof: 1/4 of those of its one; the median is their mean
    ground, roof = (0.75 + 1) / 2, 0.25
    median = (ground + roof) / 2
    assert (
        f"ground: 87.50% of the pixels that count, in 4 of 4 masks, balanced by the weight {median / ground:.3g}"
        in lines
    )
    assert (
        f"roof: 12.50% of the pixels that count, in 2 of 4 masks, balanced by the weight {median / roof:.3g}" in lines
    )
    assert any(line.startswith("1 of 3 classes never occur in the masks: 'tree'") for line in lines)
