"""Images and label maps move together: checked on maps that are the image."""

import pytest
import torch

from das import augment
from das.augment.joint import RandomRotation, RandomScaleCrop
from das.augment.standard import RandomCrop, RandomFlip
from das.data.crops import IGNORE, cut, cut_mask


@pytest.fixture
def pairs():
    """Images whose every pixel is its label, / 255; labels 1 to 6, so that what is black is outside."""
    labels = torch.randint(1, 7, (16, 20, 20), generator=torch.Generator().manual_seed(0))
    return labels[:, None].float() / 255, labels


@pytest.mark.parametrize("step", [RandomCrop(padding=4), RandomFlip(), RandomScaleCrop(20, 20, (1.0, 1.0))])
def test_labels_stay_with_their_pixels(pairs, step):
    images, labels = step(*pairs, torch.Generator().manual_seed(3))
    assert labels.dtype == torch.int64
    shown = (images[:, 0] * 255).round().long()
    assert torch.equal(labels, torch.where(shown == 0, IGNORE, shown))


@pytest.mark.parametrize("scale", [(0.5, 0.9), (1.1, 2.0)])
def test_scaling_and_cropping_a_batch_is_what_reading_from_files_does_image_by_image(scale):
    images = torch.rand(8, 3, 24, 24)
    labels = torch.randint(0, 6, (8, 24, 24))
    step = RandomScaleCrop(16, 20, scale)
    found, maps = step(images, labels, torch.Generator().manual_seed(5))
    assert found.shape == (8, 3, 16, 16)
    draws = torch.rand(8, 3, generator=torch.Generator().manual_seed(5)).tolist()
    for image, label, draw, ours, our_map in zip(images, labels, draws, found, maps, strict=True):
        box = step.box(24, 24, draw)
        torch.testing.assert_close(ours, cut(image, box, 16), atol=1e-5, rtol=0)
        assert torch.equal(our_map, cut_mask(label.to(torch.uint8), box, 16))
    assert (maps == IGNORE).any() == (scale[0] < 1)


def test_rotation_is_torchvisions_by_the_drawn_degrees():
    from torchvision.transforms.functional import InterpolationMode, rotate

    images, labels = torch.rand(40, 3, 18, 24), torch.randint(0, 6, (40, 18, 24))
    turned, maps = RandomRotation(10)(images, labels, torch.Generator().manual_seed(5))
    angles = torch.randint(-10, 11, (40,), generator=torch.Generator().manual_seed(5)).tolist()
    assert {-10, 10} <= set(angles)
    for image, label, angle, ours, our_map in zip(images, labels, angles, turned, maps, strict=True):
        torch.testing.assert_close(ours, rotate(image, angle, InterpolationMode.BILINEAR), atol=1e-4, rtol=0)
        theirs = rotate(label[None], angle, fill=IGNORE)[0]
        assert (our_map != theirs).float().mean() < 0.01  # ties of the nearest label


def test_blur_is_torchvisions_with_the_drawn_kernel():
    from torchvision.transforms.functional import gaussian_blur

    (step,) = augment.build([{"random_blur": {"sigma": 2.0}}])
    images, labels = torch.rand(60, 3, 14, 17), torch.zeros(60, 14, 17, dtype=torch.int64)
    blurred, maps = step(images, labels, torch.Generator().manual_seed(2))
    assert maps is labels
    sigmas = (2.0 * torch.rand(60, 1, generator=torch.Generator().manual_seed(2)))[:, 0].tolist()
    sides = set()
    for image, sigma, ours in zip(images, sigmas, blurred, strict=True):
        side = int(3.3 * sigma)
        side += side % 2 == 0
        sides.add(side)
        torch.testing.assert_close(ours, gaussian_blur(image, side, sigma), atol=1e-5, rtol=0)
    assert sides == {1, 3, 5, 7}


def test_every_image_has_its_own_draw():
    images, labels = torch.rand(1, 1, 32, 32).repeat(6, 1, 1, 1), torch.zeros(6, 32, 32, dtype=torch.int64)
    found, _ = RandomScaleCrop(16, 32)(images, labels, torch.Generator().manual_seed(0))
    assert len({image.numpy().tobytes() for image in found}) == 6


def test_labels_of_images_are_left_alone():
    labels = torch.arange(4)
    assert torch.equal(RandomScaleCrop(8, 8)(torch.rand(4, 3, 8, 8), labels, torch.Generator())[1], labels)
