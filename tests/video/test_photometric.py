"""Photometric operations against torchvision's, and their place in a policy."""

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from das.errors import DasError
from das.study.registry import names
from das.video import photometric
from das.video.operations import operation_named


@pytest.fixture
def bytes_():
    return torch.randint(0, 256, (3, 3, 9, 14), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture
def images(bytes_):
    return bytes_.float() / 255


@pytest.mark.parametrize("strength", [-1, 1, 3])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "sharpness"])
def test_factors_compound(images, name, strength):
    expected = getattr(reference, f"adjust_{name}")(images, 1.2**strength)
    torch.testing.assert_close(getattr(photometric, name)(images, 1.2, strength), expected, atol=2e-5, rtol=0)


def test_solarize(images):
    torch.testing.assert_close(photometric.solarize(images, 0.1, -3), reference.solarize(images, 0.7 + 1e-6))


@pytest.mark.parametrize(("magnitude", "strength", "bits"), [(1, 1, 7), (2, -3, 2), (2, 9, 1)])
def test_posterize(bytes_, images, magnitude, strength, bits):
    expected = reference.posterize(bytes_, bits).float() / 255
    torch.testing.assert_close(photometric.posterize(images, magnitude, strength), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["invert", "autocontrast", "equalize"])
def test_shares_blend_up_to_the_whole(bytes_, images, name):
    narrow = bytes_ // 3 + 40
    images = narrow.float() / 255
    whole = getattr(reference, name)(narrow if name == "equalize" else images)
    whole = whole.float() / 255 if name == "equalize" else whole
    operation = getattr(photometric, name)
    torch.testing.assert_close(operation(images, 0.25, -2), 0.5 * images + 0.5 * whole, atol=1e-5, rtol=0)
    torch.testing.assert_close(operation(images, 0.25, 9), whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("name", ["autocontrast", "equalize"])
def test_constant_channels_stay(name, value):
    images = torch.full((1, 3, 20, 20), round(value * 255) / 255)
    torch.testing.assert_close(getattr(photometric, name)(images, 1, 1), images)


@pytest.mark.parametrize("name", [name for name in names("operation") if operation_named(name).recolor])
def test_gradients_reach_the_image(images, name):
    images = images.requires_grad_()
    operation_named(name).recolor(images, operation_named(name).ranges[0].drawn[1], 1).sum().backward()
    assert images.grad.isfinite().all()
    assert images.grad.abs().sum() > 0


def test_grey_needs_one_or_three_channels():
    with pytest.raises(DasError, match=r"shape \(1, 2, 4, 4\).*1 or 3 channels"):
        photometric.contrast(torch.rand(1, 2, 4, 4), 1.1, 1)
    one = torch.rand(1, 1, 4, 4)
    torch.testing.assert_close(photometric.saturation(one, 1.2, 1), one)
