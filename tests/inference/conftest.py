"""A small classifier and a small segmentation, and pictures to show them."""

import numpy as np
import pytest
import torch
from PIL import Image

from das.data.crops import Center, Native
from das.study.schema import Architecture, Head, SegmentationRecipe
from das.tasks.classification import DasModel
from das.tasks.segmentation import SegmentationModel
from das.video.policy import Policy

CLASSES = ("ant", "bee", "cat")
SIDE = 24


def classifier(policy: Policy | None = None, channels: int = 3, fusion: str = "tsm") -> DasModel:
    torch.manual_seed(0)
    model = DasModel(
        Architecture(network="resnet8", network_options={"width": 8}, fusion=fusion),
        policy or Policy.single("rotate", 15, 3),
        CLASSES,
        [0.4] * channels,
        [0.3] * channels,
    )
    model.framing = Center(SIDE)
    return model.eval()


@pytest.fixture
def made():
    """Makes classifiers: (policy, channels, fusion)."""
    return classifier


@pytest.fixture
def model() -> DasModel:
    return classifier()


@pytest.fixture
def segmentation() -> SegmentationModel:
    torch.manual_seed(0)
    model = SegmentationModel(
        Architecture(
            network="resnet8",
            task="segmentation",
            network_options={"width": 8},
            head=Head(network="fcn", output_stride=4),
            fusion="tsm",
            consensus="aligned_mean",
            segmentation=SegmentationRecipe(),
        ),
        Policy.single("zoom", 1.2, 3),
        CLASSES,
        [0.4] * 3,
        [0.3] * 3,
    )
    model.framing, model.colors = Native(), [(10, 20, 30), (200, 0, 0), (0, 0, 255)]
    return model.eval()


@pytest.fixture
def photos(tmp_path):
    """Three folders of two pictures each, of several sizes and formats, one of them gray."""
    draws = np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number, suffix in enumerate(("jpg", "png")):
            shape = (30 + 8 * label, 40 - 3 * number) if (label, number) == (1, 1) else (30 + 8 * label, 40, 3)
            pixels = draws.integers(0, 256, shape, dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{number}.{suffix}")
    return tmp_path / "photos"
