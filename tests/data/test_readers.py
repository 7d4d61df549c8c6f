"""Every reader on an archive in its official layout, fetched, prepared and loaded as the rules do it."""

import hashlib
import io
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import das.data
from das.data.batches import Batches
from das.data.download import fetch
from das.data.prepared import prepare
from das.errors import DasError
from das.study.registry import entries, lookup, names

REPOSITORY = Path(__file__).parents[2]
TABLE = REPOSITORY / "data" / "sources.yaml"
EMBEDDED = REPOSITORY / "data" / "embedded"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def picture(seed: int, height: int = 40, width: int = 48) -> np.ndarray:
    small = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def jpeg(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "JPEG")
    return out.getvalue()


def png(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(array).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def bring(server, tmp_path):
    """Fetch archives from the loopback server, prepare them, load them."""

    def go(reader: str, files: dict[str, bytes], optional: bool = False, **options):
        root = tmp_path / reader
        overrides = {name: {"md5": hashlib.md5(content).hexdigest()} for name, content in files.items()}
        if lookup("reader", reader).facts["login"]:
            root.mkdir()
            for name, content in files.items():
                (root / name).write_bytes(content)
        else:
            server.files = files
            for name, changed in overrides.items():
                changed["url"] = f"{server.url}/{name}"
        fetch(reader, root, table=TABLE, overrides=overrides, optional=optional)
        prepare(reader, root)
        return das.data.load(reader, root=root, options=options)

    return go


# -- the embedded subset ---------------------------------------------------------------------------------------------


def test_the_embedded_set_is_balanced_and_small():
    dataset = das.data.load("fashion_mnist_embedded", root=EMBEDDED / "fashion_mnist")
    assert dataset.train.images.shape == (6000, 1, 28, 28)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.labels.bincount().tolist() == [600] * 10
    assert dataset.test.labels.bincount().tolist() == [200] * 10
    assert len(dataset.classes) == 10
    assert sum(file.stat().st_size for file in (EMBEDDED / "fashion_mnist").iterdir()) <= 8_000_000


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs the Debian package dataset-fashion-mnist")
def test_the_embedded_set_is_what_its_script_makes(tmp_path):
    subprocess.run([sys.executable, EMBEDDED / "make_fashion_mnist.py", "--out", tmp_path], check=True)
    made = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert made == {file.name: file.read_bytes() for file in (EMBEDDED / "fashion_mnist").iterdir()}


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs the Debian package dataset-fashion-mnist")
def test_the_embedded_images_are_images_of_the_full_set_with_their_labels():
    full = das.data.load("fashion_mnist", root=DEBIAN)
    part = das.data.load("fashion_mnist_embedded", root=EMBEDDED / "fashion_mnist")
    for split in ("train", "test"):
        whole, subset = getattr(full, split), getattr(part, split)
        label_of = {
            image.numpy().tobytes(): int(label) for image, label in zip(whole.images, whole.labels, strict=True)
        }
        found = [label_of[image.numpy().tobytes()] for image in subset.images]
        assert found == subset.labels.tolist()


@pytest.mark.parametrize("harm", ["absent", "changed", "cut", "no sums"])
def test_a_damaged_embedded_file_is_named_with_its_checksums_and_its_script(place, harm):
    folder = EMBEDDED / "fashion_mnist"
    root = place({file.name: file.read_bytes() for file in folder.iterdir()})
    victim = root / ("SHA256SUMS" if harm == "no sums" else "train-images-idx3-ubyte")
    content = victim.read_bytes()
    if harm in ("absent", "no sums"):
        victim.unlink()
    else:
        victim.write_bytes(content[:100] if harm == "cut" else content[:-1] + b"\7")
    with pytest.raises(DasError) as caught:
        _ = das.data.load("fashion_mnist_embedded", root=root).train
    message = str(caught.value)
    assert str(victim) in message
    assert "data/embedded/make_fashion_mnist.py" in message
    if harm in ("changed", "cut"):
        assert hashlib.sha256(content).hexdigest() in message
        assert hashlib.sha256(victim.read_bytes()).hexdigest() in message


# -- the benchmarks --------------------------------------------------------------------------------------------------


def test_fashion_mnist(bring, official):
    dataset = bring("fashion_mnist", official.fashion_mnist())
    assert dataset.train.images.shape == (40, 1, 28, 28)
    expected = np.random.default_rng(0).integers(0, 256, (40, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(dataset.train.images[:, 0].numpy(), expected)
    assert dataset.test.labels.tolist() == [*range(10), *range(10)]


def test_cifar10(bring, official):
    dataset = bring("cifar10", official.cifar10())
    assert dataset.classes[:2] == ("airplane", "automobile")
    assert dataset.train.images.shape == (100, 3, 32, 32)
    second = np.random.default_rng(2).integers(0, 256, (20, 3072), dtype=np.uint8)
    for channel in range(3):  # planes of 1024 bytes, red first, rows first
        plane = second[4, 1024 * channel : 1024 * (channel + 1)].reshape(32, 32)
        np.testing.assert_array_equal(dataset.train.images[24, channel].numpy(), plane)
    assert dataset.train.labels[20:24].tolist() == [2, 3, 4, 5]
    assert dataset.test.labels.tolist() == [(i + 6) % 10 for i in range(20)]


def test_cifar100(bring, official):
    dataset = bring("cifar100", official.cifar100())
    assert len(dataset.classes) == 100
    assert dataset.train.labels.bincount().tolist() == [2] * 100
    assert len(dataset.test) == 100


def test_tiny_imagenet(bring, official):
    dataset = bring("tiny_imagenet", official.tiny_imagenet())
    assert dataset.classes == ("goldfish", "newt", "frog")
    assert dataset.train.images.shape == (6, 3, 64, 64)
    # wnids.txt lists n03, n01, n02; classes are numbered by WordNet id
    assert dataset.train.labels.tolist() == [2, 2, 0, 0, 1, 1]
    assert dataset.test.labels.tolist() == [2, 0, 1]
    assert torch.equal(dataset.train.images[1, 0], dataset.train.images[1, 2])  # a gray one
    error = dataset.test.images[0].numpy().transpose(1, 2, 0).astype(int) - picture(100, 64, 64)
    assert np.abs(error).mean() < 4


def test_imagenet(bring, official):
    dataset = bring("imagenet", official.imagenet(), size=24)
    assert dataset.classes == ("tench", "shark")
    assert dataset.train.targets.tolist() == [0, 0, 0, 1, 1, 1]
    # the ground truth says 2, 1, 2: of the devkit's numbers, 2 is n01 and 1 is n02; level 3 is no leaf
    named = {f.name: int(label) for f, label in zip(dataset.test.files, dataset.test.targets, strict=True)}
    assert [named[f"ILSVRC2012_val_0000000{i}.JPEG"] for i in (1, 2, 3)] == [0, 1, 0]
    images, labels = next(Batches(dataset.test, 3).epoch())
    assert images.shape == (3, 3, 24, 24)
    assert labels.tolist() == [0, 0, 1]


def test_voc2012(bring, official):
    files = official.voc2012()
    plain = bring("voc2012", {name: files[name] for name in files if name != "benchmark.tgz"}, size=48)
    assert [file.stem for file in plain.train.files] == ["a", "b"]
    assert [file.stem for file in plain.test.files] == ["c"]
    images, masks = next(Batches(plain.train, 2).epoch())
    assert images.shape == (2, 3, 48, 48)
    for k in (0, 1):  # 40 x 48 at the top left of 48 x 48; the rest does not count
        assert masks[k, :40].unique().tolist() == [k + 1]
        assert masks[k, 40:].unique().tolist() == [255]
        assert images[k, :, 40:].abs().max() == 0
    with pytest.raises(DasError, match=r"options.augmented: .*benchmark.tgz was not there"):
        das.data.load("voc2012", root=plain.train.root, options={"augmented": True})


def test_voc2012_augmented(bring, official):
    dataset = bring("voc2012", official.voc2012(), optional=True, augmented=True, size=48)
    assert [file.stem for file in dataset.train.files] == ["a", "b", "d", "z"]  # c is VOC's val
    _, masks = next(Batches(dataset.train, 4).epoch())
    assert masks[:, 0, 0].tolist() == [1, 2, 6, 7]
    _, masks = next(Batches(dataset.test, 1).epoch())
    assert masks[0, 0, 0] == 3  # VOC's own mask of c, not SBD's


def test_cityscapes(bring, official):
    dataset = bring("cityscapes", official.cityscapes(), size=48)
    assert len(dataset.classes) == 19
    assert [file.name for file in dataset.train.files] == ["bochum_000000_000011.png", "ulm_000000_000010.png"]
    assert [file.name for file in dataset.test.files] == ["lindau_000000_000012.png"]
    _, masks = next(Batches(dataset.train, 2).epoch())
    assert [dataset.classes[masks[0, 20, x]] for x in (0, 30)] == ["road", "car"]
    assert dataset.classes[masks[0, 39, 0]] == "bicycle"
    assert masks[0, 0, 0] == 255


def test_the_table_of_readers_tells_the_truth(bring, official):
    for entry in entries("reader"):
        reader, facts = entry.name, entry.facts
        if (facts["root"] or "").startswith("data/raw/"):
            files = getattr(official, reader)()
            dataset = bring(reader, files, optional=True, **({"size": 16} if "size" in entry.options else {}))
            assert dataset.train.shape[0] == facts["channels"]
            assert facts["size"] is None or dataset.train.shape[1:] == (facts["size"],) * 2
            masked = getattr(dataset.train, "masked", False)
            assert facts["task"] == ("segmentation" if masked else "classification")


# -- one's own data --------------------------------------------------------------------------------------------------


def four_classes(count: int, prefix: str = "") -> dict[str, bytes]:
    files = {}
    for k, name in enumerate(("ant", "bee", "cat", "dog")):
        for i in range(count):
            content = jpeg(picture(100 * k + i)) if i % 2 else png(picture(100 * k + i))
            files[f"{prefix}{name}/{i}.{'JPG' if i % 2 else 'png'}"] = content
    return files


def test_an_own_folder_is_divided_by_class(place):
    root = place(four_classes(10) | {"ant/notes.txt": b"", ".cache/x.png": b""})
    dataset = das.data.load("folder", root=root, options={"size": 20, "test_fraction": 0.2})
    assert dataset.classes == ("ant", "bee", "cat", "dog")
    assert dataset.train.images.shape == (32, 3, 20, 20)
    assert dataset.train.labels.bincount().tolist() == [8] * 4
    assert dataset.test.labels.bincount().tolist() == [2] * 4
    train, test = ({image.numpy().tobytes() for image in part.images} for part in (dataset.train, dataset.test))
    assert not train & test


def test_an_own_folder_with_train_and_test(place):
    root = place(four_classes(3, "train/") | four_classes(2, "test/"))
    dataset = das.data.load("folder", root=root)
    assert (len(dataset.train), len(dataset.test)) == (12, 8)


def test_streamed_and_held_in_memory_are_the_same(place):
    root = place(four_classes(6))
    held = das.data.load("folder", root=root, options={"size": 20}).train
    streamed = das.data.load("folder", root=root, options={"size": 20, "stream": True}).train
    for a, b in zip(Batches(held, 7).epoch(), Batches(streamed, 7).epoch(), strict=True):
        assert torch.equal(a[0], b[0])
        assert torch.equal(a[1], b[1])


@pytest.mark.parametrize("stream", [False, True])
def test_damaged_images_are_refused_or_skipped_and_named(place, stream):
    root = place(four_classes(5, "train/") | four_classes(2, "test/"))
    (root / "train/bee/1.JPG").write_bytes((root / "train/bee/1.JPG").read_bytes()[:400])
    (root / "train/cat/0.png").write_bytes(b"")
    options = {"size": 16, "stream": stream}
    with pytest.raises(DasError, match=r"bee/1.JPG|cat/0.png"):
        list(Batches(das.data.load("folder", root=root, options=options).train, 4).epoch())
    dataset = das.data.load("folder", root=root, options=options | {"damaged": "skip"})
    with pytest.warns(UserWarning, match=r"skipped 2 damaged images of 20: .*bee/1.JPG.*cat/0.png"):
        train = dataset.train
    assert train.strata.bincount().tolist() == [5, 4, 4, 5]
    assert sum(len(labels) for _, labels in Batches(train, 4).epoch()) == 18


def test_damaged_images_of_prepared_sets_are_found_when_preparing(official, place):
    files = official.imagenet()
    root = place(files)
    prepare("imagenet", root)
    victim = root / "train" / "n01" / "n01_1.JPEG"
    archive = files["ILSVRC2012_img_train.tar"].replace(
        victim.read_bytes()[100:], bytes(len(victim.read_bytes()) - 100)
    )
    (root / "ILSVRC2012_img_train.tar").write_bytes(archive)
    prepare("imagenet", root)
    with pytest.raises(DasError, match=r"1 of 6 images are damaged: .*n01_1.JPEG.*damaged: skip"):
        _ = das.data.load("imagenet", root=root).train
    with pytest.warns(UserWarning, match="skipped 1 damaged"):
        assert len(das.data.load("imagenet", root=root, options={"damaged": "skip"}).train) == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(das.data.load("imagenet", root=root).test) == 3


def test_own_arrays(tmp_path):
    random = np.random.default_rng(0)
    content = {
        "train_images": random.integers(0, 256, (12, 9, 9), dtype=np.uint8),
        "train_labels": np.arange(12) % 3,
        "test_images": random.integers(0, 256, (6, 1, 9, 9), dtype=np.uint8),
        "test_labels": np.arange(6, dtype=np.uint8) % 3,
    }
    path = tmp_path / "own.npz"
    np.savez(path, **content, classes=np.array(["a", "b", "c"]))
    dataset = das.data.load("arrays", root=path)
    assert dataset.classes == ("a", "b", "c")
    np.testing.assert_array_equal(dataset.train.images[:, 0].numpy(), content["train_images"])
    assert dataset.test.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("train_images", np.zeros((12, 9, 9), np.float32), "train_images must be uint8"),
        ("train_images", np.zeros((11, 9, 9), np.uint8), "11 train_images but 12 train_labels"),
        ("train_images", np.zeros((12, 2, 9, 9), np.uint8), "train_images must be uint8"),
        ("test_labels", np.array([-1, 0, 1, 2, 0, 1]), "test_labels must be whole numbers"),
        ("test_labels", np.zeros(6), "test_labels must be whole numbers"),
        ("classes", np.array(["a", "b"]), "names 2 classes, but labels go up to 2"),
        ("train_labels", None, "not an .npz file with train_labels"),
        ("train_labels", np.array([{}] * 12), "not an .npz file with train_labels"),  # a pickle
    ],
)
def test_wrong_arrays_are_named(tmp_path, key, value, message):
    content = {
        "train_images": np.zeros((12, 9, 9), np.uint8),
        "train_labels": np.arange(12) % 3,
        "test_images": np.zeros((6, 9, 9), np.uint8),
        "test_labels": np.arange(6) % 3,
    }
    content[key] = value
    path = tmp_path / "own.npz"
    np.savez(path, **{k: v for k, v in content.items() if v is not None})
    with pytest.raises(DasError, match=message):
        _ = das.data.load("arrays", root=path).train


def test_own_pairs(place):
    files = {"classes.txt": b"ground\nroof\n"}
    for split in ("train", "test"):
        for i in range(3):
            mask = np.full((40, 48), i % 2, np.uint8)
            files |= {f"{split}/images/{i}.jpg": jpeg(picture(i)), f"{split}/masks/{i}.png": png(mask)}
    root = place(files)
    dataset = das.data.load("pairs", root=root, options={"size": 24})
    assert dataset.classes == ("ground", "roof")
    _, masks = next(Batches(dataset.train, 3).epoch())
    assert masks[:, 0, 0].tolist() == [0, 1, 0]
    (root / "train/masks/1.png").write_bytes(png(np.zeros((40, 40), np.uint8)))
    with pytest.raises(DasError, match=r"masks/1.png: mask is \(40, 40\), its image \(40, 48\)"):
        list(Batches(dataset.train, 3).epoch())
    (root / "train/masks/1.png").unlink()
    with pytest.raises(DasError, match=r"train/images/1.jpg has no mask train/masks/1.png"):
        _ = das.data.load("pairs", root=root).train


# -- options, limits, bad input --------------------------------------------------------------------------------------


def test_limits_take_the_same_balanced_images_every_time():
    root = EMBEDDED / "fashion_mnist"
    options = {"train_per_class": 20, "test_per_class": 5}
    one, two = (das.data.load("fashion_mnist_embedded", root=root, options=options) for _ in range(2))
    assert one.train.labels.bincount().tolist() == [20] * 10
    assert one.test.labels.bincount().tolist() == [5] * 10
    assert one.digest == two.digest
    assert one.digest != das.data.load("fashion_mnist_embedded", root=root).digest
    with pytest.raises(DasError, match=r"options.train_per_class: 601 is more than the 600 train images of class"):
        _ = das.data.load("fashion_mnist_embedded", root=root, options={"train_per_class": 601}).train


def test_splits_take_each_classs_images_in_the_order_of_the_files():
    root = EMBEDDED / "fashion_mnist"
    whole = das.data.load("fashion_mnist_embedded", root=root)
    options = {"train_per_class": 50, "split": 2}
    cut = das.data.load("fashion_mnist_embedded", root=root, options=options)
    for name in range(10):
        own = [image for image, label in zip(whole.train.images, whole.train.labels, strict=True) if label == name]
        assert torch.equal(cut.train.images[cut.train.labels == name], torch.stack(own[100:150]))
    assert cut.test.digest == whole.test.digest
    with pytest.raises(DasError, match=r"train_per_class: 650 for split 12 is more than the 600 .*; use at most 46"):
        _ = das.data.load("fashion_mnist_embedded", root=root, options=options | {"split": 12}).train


@pytest.mark.parametrize(
    ("reader", "options", "message"),
    [
        ("cifar11", {}, "'cifar11' is unknown; should be one of fashion_mnist_embedded, "),
        ("cifar10", {"size": 3}, r"options.size: unknown option; allowed here: train_per_class, "),
        ("cifar10", {"train_per_class": 0}, r"options.train_per_class: is 0; should be greater than or equal to 1"),
        ("cifar10", {"train_per_class": True}, r"options.train_per_class: is True; should be a whole number"),
        ("folder", {"damaged": "ignore"}, "options.damaged: is 'ignore'; should be 'refuse' or 'skip'"),
        ("folder", {"test_fraction": 1.0}, "options.test_fraction: is 1.0; should be less than 1"),
        ("folder", {"size": None}, "options.size: is None; should be a whole number of pixels"),
    ],
)
def test_wrong_options_are_named(reader, options, message):
    with pytest.raises(DasError, match=message):
        lookup("reader", reader).check(options, "options")


def test_checking_options_costs_no_torch():
    code = "import sys, das.data, das.augment; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("reader", names("reader"))
def test_a_missing_set_is_named(tmp_path, reader):
    with pytest.raises(DasError, match=str(tmp_path)):
        _ = das.data.load(reader, root=tmp_path / "nothing").train


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds 0 class folders"),
        ({"a/1.png": b""}, "holds 1 class folders"),
        ({"a/1.png": b"", "b/x": b""}, "class 'b' has 0 images; 5 are needed"),
    ],
)
def test_a_folder_without_classes_or_images_is_refused(place, files, message):
    root = place({"README": b"", **files})
    with pytest.raises(DasError, match=message):
        _ = das.data.load("folder", root=root).train


def test_archives_of_another_layout_are_refused(place, official):
    cifar = place({"cifar-10-python.tar.gz": official.cifar100()["cifar-100-python.tar.gz"]}, "cifar10")
    with pytest.raises(DasError, match=r"holds no cifar-10-batches-py/batches.meta"):
        das.data.load("cifar10", root=cifar)
    voc = place({"VOCtrainval_11-May-2012.tar": official.imagenet()["ILSVRC2012_img_val.tar"]}, "voc2012")
    with pytest.raises(DasError, match="holds no ImageSets/Segmentation"):
        prepare("voc2012", voc)
    assert not (voc / "prepared.json").exists()
    assert not (voc / "images").exists()
    with pytest.raises(DasError, match="voc2012 is not prepared here"):
        das.data.load("voc2012", root=voc)


def test_preparing_again_after_an_interruption_leaves_a_whole_set(official, place):
    root = place(official.cityscapes())
    (root / "images.part" / "train").mkdir(parents=True)
    (root / "images.part" / "train" / "left_over.png").write_bytes(b"half")
    prepare("cityscapes", root)
    prepare("cityscapes", root)
    assert len(das.data.load("cityscapes", root=root).train) == 2
    assert not list(root.glob("*.part"))


def test_the_test_set_is_not_opened_for_training(official, place, tmp_path):
    """Searching and tuning read `.train` alone: with the test files gone, it is still there."""
    root = place({file.name: file.read_bytes() for file in (EMBEDDED / "fashion_mnist").iterdir()})
    for file in root.glob("t10k-*"):
        file.unlink()
    dataset = das.data.load("fashion_mnist_embedded", root=root)
    assert len(dataset.train) == 6000
    assert dataset.train.digest
    with pytest.raises(DasError, match="t10k"):
        _ = dataset.test
    raw = place(official.cityscapes(), "cityscapes")
    prepare("cityscapes", raw)
    for file in raw.glob("*/val/*"):
        file.unlink()
    assert len(das.data.load("cityscapes", root=raw).train) == 2


# -- real images -----------------------------------------------------------------------------------------------------


def test_the_official_reader_on_real_cifar10():
    """On an archive of real images in the official layout, where DAS_CIFAR10_ARCHIVE names one."""
    archive = Path(os.environ.get("DAS_CIFAR10_ARCHIVE", ""))
    if not archive.is_file():
        pytest.skip("DAS_CIFAR10_ARCHIVE names no cifar-10-python.tar.gz")
    dataset = das.data.load("cifar10", root=archive.parent)
    assert dataset.classes[3] == "cat"
    images = dataset.train.images.float() / 255
    assert images.shape[1:] == (3, 32, 32)
    # Natural images: neighbors are alike in rows and in columns. A wrong layout doubles these.
    for step in (images.diff(dim=2), images.diff(dim=3)):
        assert step.abs().mean() < 0.35 * images.std()
    # The training set's mean as commonly quoted for CIFAR-10.
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.tensor([0.4914, 0.4822, 0.4465]), rtol=0, atol=0.005)
