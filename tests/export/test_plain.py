"""The plain formulations compute what the package's kernels do, and what the definitions say."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from das.export.plain import PLAIN, PlainModel, PlainPyramid, PlainVideo, equalized
from das.models.fusion import GSF, GSM, GST, TSM
from das.models.heads import SpatialPyramidPooling
from das.study.schema import DenseEvaluation, Head, SegmentationRecipe
from das.video.compiled import CompiledPolicy
from das.video.family import Family
from das.video.policy import IMAGE, Choice, Edge, Policy

COLORS = {"brightness": 1.2, "contrast": 0.8, "saturation": 1.3, "sharpness": 1.2, "solarize": 0.2}
COLORS |= {"posterize": 2, "invert": 0.1, "autocontrast": 0.3}
POLICIES = {
    "zeros": Family(frames=4, seed=1).random(1),
    "border": Family(frames=5, seed=2, padding="border", schedule="signed").random(3),
    "reflection": Family(frames=3, seed=3, padding="reflection", node_reduce="sum").random(3),
    "canvas": Family(frames=4, seed=4, canvas=17).random(2),
    "scrambled": Family(frames=4, seed=4, frame_layout="scrambled").random(2),
    "superposed": Family(frames=4, seed=5).uniform(),
    **{name: Policy.single(name, magnitude, 3) for name, magnitude in COLORS.items()},
    "equalize, then rotate and mix": Policy(
        3,
        (
            (Edge(IMAGE, (Choice("equalize", (0.4,)),)),),
            (Edge(0, (Choice("rotate", (9,)),)), Edge(IMAGE, (Choice("zoom", (1.2,)),))),
        ),
    ),
    "copies": Policy.replicate(4),
    "one frame": Policy.replicate(1),
}


@pytest.mark.parametrize("name", POLICIES)
def test_the_video_by_gathers_is_the_video(name):
    images = torch.rand(2, 3, 11, 9)
    video = PlainVideo(POLICIES[name], 11, 9)(images)
    torch.testing.assert_close(video, CompiledPolicy(POLICIES[name], 11, 9)(images), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    "pixels",
    [
        np.random.default_rng(0).integers(0, 256, (16, 20)),
        np.random.default_rng(1).integers(90, 120, (40, 40)),
        np.full((5, 5), 7),
        np.arange(256).reshape(16, 16) // 200 * 255,
    ],
)
def test_equalized_is_pils(pixels):
    expected = np.asarray(ImageOps.equalize(Image.fromarray(pixels.astype(np.uint8))))
    found = equalized(torch.from_numpy(pixels / 255).float()[None, None]) * 255
    assert np.array_equal(found[0, 0].round().numpy(), expected)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 10)])
def test_the_pyramid_by_cuts_is_the_pyramid(size):
    maps = torch.rand(2, 3, *size)
    assert torch.equal(PlainPyramid()(maps), SpatialPyramidPooling()(maps))


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize(
    "make",
    [
        lambda frames: TSM(12, frames, fold_div=4),
        lambda frames: TSM(12, frames, fold_div=2),
        lambda frames: GSM(12, frames),
        lambda frames: GSF(12, frames, ratio=0.5),
        lambda frames: GSF(12, frames, ratio=1.0),
        lambda frames: GST(torch.nn.Conv2d(12, 8, 3, 2, padding=1, bias=False), frames),
        lambda frames: GST(torch.nn.Conv2d(12, 8, 3, padding=1, bias=False), frames, alpha=2, beta=1),
    ],
)
def test_plain_fusion_is_the_fusion(make, frames):
    torch.manual_seed(0)
    fusion, x = make(frames).eval(), torch.randn(3 * frames, 12, 6, 5)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.normal_(0, 0.3)
        torch.testing.assert_close(PLAIN[type(fusion)](fusion, x), fusion(x), atol=2e-6, rtol=0)


@pytest.mark.parametrize("consensus", ["aligned_mean", "mean_logits", "middle_frame"])
def test_plain_segmentation_is_the_segmentation(make_model, consensus):
    head = {"head": Head(network="pspnet"), "segmentation": SegmentationRecipe(evaluation=DenseEvaluation())}
    model = make_model(task="segmentation", fusion="tsm", consensus=consensus, **head)
    images = torch.rand(2, 3, 32, 24)
    with torch.no_grad():
        found = PlainModel(model, 32, 24)(images)
        torch.testing.assert_close(found, model(images), atol=1e-5, rtol=0)


def test_the_model_stays_as_it_is(make_model):
    model = make_model(fusion="gsm")
    names = [name for name, _ in model.named_modules()]
    PlainModel(model, 32, 32)
    assert [name for name, _ in model.named_modules()] == names
