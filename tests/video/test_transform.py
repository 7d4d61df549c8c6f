import copy

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms import v2

from das.errors import DasError
from das.video.compiled import CompiledPolicy
from das.video.family import Family
from das.video.policy import Policy
from das.video.transform import ImageToVideo

POLICY = Family(frames=4, seed=1).random(1)


@pytest.mark.parametrize("size", [(8, 8), (7, 11), (1, 3)])
def test_any_size_and_dtype(size):
    module = ImageToVideo(POLICY)
    x = torch.rand(2, 3, *size)
    expected = CompiledPolicy(POLICY, *size)(x)
    assert torch.equal(module(x), expected)
    assert torch.equal(module(x.contiguous(memory_format=torch.channels_last)), expected)
    assert module(x.double()).dtype == torch.float64
    half = module(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), expected, atol=8e-3, rtol=0)


def test_it_has_no_state_and_copies():
    module = ImageToVideo(POLICY)
    x = torch.rand(2, 3, 8, 8)
    video = module(x)
    assert not module.state_dict()
    assert torch.equal(copy.deepcopy(module)(x), video)


def test_single_images_and_pairs():
    module, image, mask = ImageToVideo(POLICY), torch.rand(3, 8, 9), torch.randint(0, 5, (8, 9))
    assert torch.equal(module(image), module(image[None])[0])
    video, labels = module(image, mask)
    assert video.shape == (4, 3, 8, 9)
    assert torch.equal(labels[2], mask)
    batch = module(image[None], mask[None])
    assert torch.equal(batch[1][0], labels)
    assert torch.equal(module(image, mask[None])[1], labels)
    assert torch.equal(module(image[None], mask[None, None])[1][0], labels)


def test_in_a_torchvision_pipeline():
    pipeline = v2.Compose([v2.CenterCrop(6), v2.ToDtype(torch.float32, scale=True), ImageToVideo(POLICY)])
    assert pipeline(torch.randint(0, 256, (3, 8, 8), dtype=torch.uint8)).shape == (4, 3, 6, 6)
    image = tv_tensors.Image(torch.rand(3, 8, 8))
    mask = tv_tensors.Mask(torch.randint(0, 5, (8, 8)))
    video, labels = v2.Compose([v2.CenterCrop(6), ImageToVideo(POLICY)])(image, mask)
    assert video.shape == (4, 3, 6, 6)
    assert labels.shape == (4, 6, 6)


@pytest.mark.parametrize("shape", [(8, 8), (1, 1, 3, 8, 8), (0, 3, 8, 8), (2, 3, 8, 0)])
def test_shapes_that_cannot_work_are_refused(shape):
    with pytest.raises(DasError, match=r"images: shape "):
        ImageToVideo(POLICY)(torch.rand(*shape))


def test_whole_numbers_are_refused():
    with pytest.raises(DasError, match=r"dtype torch.uint8 is not floating point"):
        ImageToVideo(Policy.replicate(2))(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
