"""Images and label maps move together: checked on maps that are the image."""

import pytest
import torch

from das.augment.joint import RandomScaleCrop
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


def test_every_image_has_its_own_draw():
    images, labels = torch.rand(1, 1, 32, 32).repeat(6, 1, 1, 1), torch.zeros(6, 32, 32, dtype=torch.int64)
    found, _ = RandomScaleCrop(16, 32)(images, labels, torch.Generator().manual_seed(0))
    assert len({image.numpy().tobytes() for image in found}) == 6


def test_labels_of_images_are_left_alone():
    labels = torch.arange(4)
    assert torch.equal(RandomScaleCrop(8, 8)(torch.rand(4, 3, 8, 8), labels, torch.Generator())[1], labels)
