"""Batches: what is in them, that nothing but the generator decides, and what evaluation sees."""

import io
import threading
from itertools import islice

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from das import augment, seeding
from das.data.batches import Batches
from das.data.crops import Center, Whole
from das.data.sets import FileSet, ImageSet
from das.data.statistics import mean_std
from das.errors import DasError
from das.models import Normalize

RANDOM = np.random.default_rng(0)
STEPS = [{"random_crop": {"padding": 3}}, "random_flip"]


@pytest.fixture(scope="module")
def held() -> ImageSet:
    return ImageSet(
        torch.from_numpy(RANDOM.integers(0, 256, (50, 3, 12, 12), dtype=np.uint8)),
        torch.from_numpy(RANDOM.integers(0, 4, 50)),
    )


@pytest.fixture(scope="module")
def filed(tmp_path_factory) -> FileSet:
    root = tmp_path_factory.mktemp("files")
    for i in range(20):
        height, width = RANDOM.integers(20, 60, 2)
        image = Image.fromarray(RANDOM.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((int(width), int(height)))
        image.save(root / f"{i:02}.png")
    return FileSet(root, tuple(sorted(root.iterdir())), torch.arange(20), 16)


def gathered(batches: Batches, *identity) -> tuple[torch.Tensor, torch.Tensor]:
    generator = seeding.generator(*identity) if identity else None
    images, labels = zip(*batches.epoch(generator), strict=True)
    return torch.cat(images), torch.cat(labels)


def test_evaluation_is_the_set_in_its_order(held):
    images, labels = gathered(Batches(held, 16))
    assert torch.equal(images, held.images.float() / 255)
    assert torch.equal(labels, held.labels)
    assert [len(labels) for _, labels in Batches(held, 16).epoch()] == [16, 16, 16, 2]


@pytest.mark.parametrize("kind", ["held", "filed"])
def test_evaluation_is_free_of_randomness(kind, request):
    images = request.getfixturevalue(kind)
    state = torch.get_rng_state()
    first = gathered(Batches(images, 7))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert all(map(torch.equal, first, gathered(Batches(images, 7))))
    with pytest.raises(ValueError, match="needs a generator"):
        next(Batches(images, 7, augment.build(STEPS)).epoch())


@pytest.mark.parametrize("kind", ["held", "filed"])
def test_an_epoch_holds_every_image_once(kind, request):
    images = request.getfixturevalue(kind)
    whole, _ = gathered(Batches(images, 7))
    shuffled, labels = gathered(Batches(images, 7), "epoch", 0)
    order = [int((whole == image).flatten(1).all(1).nonzero()) for image in shuffled]
    assert sorted(order) == list(range(len(images)))
    assert order != sorted(order)
    assert torch.equal(images.strata[order], labels)


def test_drop_last_leaves_out_the_rest(held):
    batches = Batches(held, 16, drop_last=True)
    assert len(batches) == 3
    assert [len(labels) for _, labels in batches.epoch(seeding.generator(0))] == [16] * 3


@pytest.mark.parametrize("kind", ["held", "filed"])
def test_the_generator_decides_and_nothing_else(kind, request):
    images = request.getfixturevalue(kind)
    steps = augment.build([{"random_resized_crop": {"size": 10}}, *STEPS])
    first = gathered(Batches(images, 8, steps, workers=1), "epoch", 0)
    threads = torch.get_num_threads()
    try:
        for workers in (1, 2, 5):
            torch.manual_seed(workers)
            torch.set_num_threads(workers)
            assert all(map(torch.equal, first, gathered(Batches(images, 8, steps, workers=workers), "epoch", 0)))
    finally:
        torch.set_num_threads(threads)
    assert not torch.equal(first[0], gathered(Batches(images, 8, steps), "epoch", 1)[0])


def test_images_are_in_unit_range_in_the_asked_format(held, filed):
    for images in (held, filed):
        batches = Batches(images, 8, augment.build(STEPS), channels_last=True, dtype=torch.bfloat16)
        batch, _ = next(batches.epoch(seeding.generator(0)))
        assert batch.dtype == torch.bfloat16
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert batch.min() >= 0
        assert batch.max() <= 1


def test_the_set_is_left_as_it_was(held):
    before = held.digest
    gathered(Batches(held, 8, augment.build(STEPS)), 0)
    assert ImageSet(held.images, held.labels).digest == before


def test_streaming_can_be_left_early(filed, monkeypatch):
    many, read, item = filed.subset(torch.arange(200) % len(filed)), [], FileSet.item
    monkeypatch.setattr(FileSet, "item", lambda self, index, *rest: read.append(index) or item(self, index, *rest))
    threads = threading.active_count()
    epoch = Batches(many, 2, workers=2).epoch(seeding.generator(0))
    next(epoch)
    epoch.close()
    assert len(read) <= 2 * (1 + FileSet.AHEAD)
    assert threading.active_count() == threads


def test_a_damaged_file_is_named_when_its_batch_comes(filed, tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(filed.files[15].read_bytes()[:200])
    files = (*filed.files[:15], damaged, *filed.files[16:])
    epoch = Batches(FileSet(tmp_path, files, filed.targets, 16), 4, workers=2).epoch()
    assert [len(labels) for _, labels in islice(epoch, 3)] == [4, 4, 4]
    with pytest.raises(DasError, match=damaged.name):
        next(epoch)


def test_a_framing_is_only_for_files(held):
    with pytest.raises(DasError, match="only as the first augmentation of images read from files"):
        Batches(held, 8, [Center(8)])


def test_streamed_evaluation_is_resize_and_centre_crop(tmp_path):
    """Against Pillow: shorter side to 128, center 112; they differ by the rounding of the box to whole pixels."""
    for i in range(4):
        height, width = (int(side) for side in RANDOM.integers(250, 500, 2))
        small = Image.fromarray(RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        small.resize((width, height), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    files = tuple(sorted(tmp_path.iterdir()))
    images, _ = gathered(Batches(FileSet(tmp_path, files, torch.arange(4), 112, share=112 / 128), 3))
    for image, file in zip(images, files, strict=True):
        picture = Image.open(file)
        scale = 128 / min(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
        left, top = (picture.width - 112) // 2, (picture.height - 112) // 2
        expected = np.asarray(picture.crop((left, top, left + 112, top + 112))).transpose(2, 0, 1) / 255
        assert np.abs(image.numpy() - expected).mean() < 0.01
        moved = np.roll(expected, 3, axis=1)
        assert np.abs(image.numpy() - moved).mean() > 0.01  # the measure tells a shift of three pixels


def test_framings_of_evaluation():
    assert Center(24, 0.5).box(100, 60) == (35, 15, 30, 30)
    assert Center(24, 0.5).box(30, 90) == (7, 37, 15, 15)
    assert Whole(24).box(100, 60) == (0, 0, 100, 100)
    assert Whole(24).box(30, 90) == (0, 0, 90, 90)


def test_mean_and_deviation_are_those_of_all_pixels(held, filed):
    pixels = held.images.double() / 255
    mean, std = mean_std(held)
    torch.testing.assert_close(mean, pixels.mean((0, 2, 3)), rtol=0, atol=1e-12)
    torch.testing.assert_close(std, pixels.std((0, 2, 3), correction=0), rtol=0, atol=1e-12)
    seen, _ = gathered(Batches(filed, 8))
    torch.testing.assert_close(mean_std(filed)[0], seen.double().mean((0, 2, 3)), rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 3, 5, 5), (4, 2, 3, 5, 5)])
def test_normalize_takes_images_and_videos(shape):
    normalize = Normalize([0.1, 0.2, 0.3], [0.5, 0.6, 0.7])
    assert isinstance(normalize, nn.Module)
    x = torch.rand(shape)
    for c in range(3):
        expected = (x.select(-3, c) - (0.1, 0.2, 0.3)[c]) / (0.5, 0.6, 0.7)[c]
        torch.testing.assert_close(normalize(x).select(-3, c), expected)
    assert normalize(x.bfloat16()).dtype == torch.bfloat16


def test_digests_tell_sets_apart(held, filed):
    changed = held.images.clone()
    changed[3, 0, 0, 0] ^= 1
    digests = {
        held.digest,
        ImageSet(changed, held.labels).digest,
        ImageSet(held.images, held.labels.flip(0)).digest,
        held.subset(torch.arange(49)).digest,
        filed.digest,
        filed.subset(torch.arange(19)).digest,
        FileSet(filed.root, filed.files, filed.targets.flip(0), 16).digest,
        FileSet(filed.root, filed.files, filed.targets, 17).digest,
    }
    assert len(digests) == 8
    assert ImageSet(held.images.clone(), held.labels.clone()).digest == held.digest


def test_masks_stay_on_their_images(tmp_path):
    """An image that encodes its own mask: after scale, crop and flip they still agree."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for i in range(6):
        blocks = RANDOM.integers(0, 3, (5, 7), dtype=np.uint8).repeat(12, 0).repeat(12, 1)
        Image.fromarray(blocks).save(tmp_path / "masks" / f"{i}.png")
        out = io.BytesIO()
        Image.fromarray(np.stack([blocks * 100] * 3, 2)).save(out, "PNG")
        (tmp_path / "images" / f"{i}.png").write_bytes(out.getvalue())
    files, masks = (tuple(sorted((tmp_path / kind).iterdir())) for kind in ("images", "masks"))
    pairs = FileSet(tmp_path, files, masks, 32)
    steps = augment.build(
        [{"random_scale_crop": {"size": 32, "base": 40}}, "random_flip", {"random_crop": {"padding": 3}}]
    )
    images, masks = gathered(Batches(pairs, 6, steps), 0)
    assert images.shape == (6, 3, 32, 32)
    assert masks.shape == (6, 32, 32)
    outside = masks == 255
    assert outside.any()
    agrees = (images[:, 0] * 255 / 100).round().long() == masks.where(~outside, 0)
    assert agrees.float().mean() > 0.9  # all but where bilinear filtering blurs the blocks' edges
    mirrored = (images[:, 0].flip(-1) * 255 / 100).round().long() == masks.where(~outside, 0)
    assert mirrored.float().mean() < 0.8
    assert set(masks.unique().tolist()) <= {0, 1, 2, 255}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["held", "filed"])
def test_a_gpu_sees_the_same_batches(kind, request):
    images = request.getfixturevalue(kind)
    steps = augment.build(STEPS if kind == "held" else [{"random_resized_crop": {"size": 16}}, "random_flip"])
    here = gathered(Batches(images, 8, steps), 0)
    there = gathered(Batches(images, 8, steps, device="cuda"), 0)
    assert all(torch.equal(a, b.cpu()) for a, b in zip(here, there, strict=True))


# -- rectangular sizes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(100, 60), (30, 90), (48, 64), (7, 500)])
@pytest.mark.parametrize("size", [(48, 64), (64, 48), (20, 20), (10, 35)])
def test_framings_keep_the_shape_of_the_result(height, width, size):
    """Neither stretches: both sides are scaled alike, to within the rounding of the box to whole pixels."""
    rows, columns = size
    top, left, high, wide = Center(size, 0.8).box(height, width)
    assert abs(high / rows * columns - wide) <= max(columns / rows, 1)
    assert max(high / height, wide / width) == pytest.approx(0.8, abs=0.5 / min(height, width))
    assert abs(2 * top + high - height) <= 1
    assert abs(2 * left + wide - width) <= 1
    top, left, high, wide = Whole(size).box(height, width)
    assert (top, left) == (0, 0)
    assert high >= height
    assert wide >= width
    assert high == height or wide == width
    assert abs(high / rows * columns - wide) <= max(columns / rows, 1)


def test_photographs_of_four_to_three_lose_nothing(tmp_path):
    """In a rectangle of their shape the whole image is seen; in a square, a quarter of each is not."""
    small = Image.fromarray(RANDOM.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    pixels = np.array(small.resize((128, 96), Image.Resampling.BICUBIC))
    Image.fromarray(pixels).save(tmp_path / "a.png")
    images = FileSet(tmp_path, (tmp_path / "a.png",), torch.tensor([0]), [48, 64])
    assert images.shape == (3, 48, 64)
    (seen, _), *_ = Batches(images, 1).epoch()
    halved = pixels.reshape(48, 2, 64, 2, 3).mean((1, 3)).transpose(2, 0, 1) / 255
    assert np.abs(seen[0].numpy() - halved).mean() < 0.01
    square, _ = next(Batches(FileSet(tmp_path, images.files, images.targets, 48), 1).epoch())
    assert np.abs(square[0].numpy() - halved[:, :, 8:56]).mean() < 0.01


@pytest.mark.parametrize("kind", ["random_resized_crop", "random_scale_crop"])
def test_crops_are_rectangular_in_memory_and_from_files(filed, kind):
    options = {"size": [10, 14]} | ({"base": 12} if kind == "random_scale_crop" else {})
    steps = augment.build([{kind: options}])
    held = ImageSet(torch.from_numpy(RANDOM.integers(0, 256, (20, 3, 30, 40), dtype=np.uint8)), torch.arange(20))
    for images in (held, filed):
        batch, _ = next(Batches(images, 5, steps).epoch(seeding.generator(0)))
        assert batch.shape == (5, 3, 10, 14)
    for draw in torch.rand(30, steps[0].draws).tolist():
        _, _, high, wide = steps[0].box(90, 70, draw)
        if kind == "random_scale_crop":  # the window is not stretched
            assert abs(high / 10 * 14 - wide) <= 1.5
