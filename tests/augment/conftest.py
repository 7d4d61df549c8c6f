"""A small model and batches for what is tested of the competing augmentations."""

import pytest
import torch
from torch import nn

from das.study.schema import Architecture
from das.tasks.classification import DasModel
from das.video.policy import Policy

CLASSES = ("a", "b", "c", "d")


@pytest.fixture
def draws() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """16 images (3, 16, 16) whose pixels tell their place in the batch, and their labels."""
    place = torch.arange(16.0).view(-1, 1, 1, 1)
    return ((place + 1) / 20).expand(-1, 3, 16, 16).clone(), torch.arange(16) % len(CLASSES)


@pytest.fixture
def make_model():
    def make(frames: int = 1, canvas: int | None = None) -> DasModel:
        torch.manual_seed(0)
        fusion = "none" if frames == 1 else "tsm"
        architecture = Architecture(network="resnet8", network_options={"width": 8}, fusion=fusion)
        policy = Policy.single("translate_x", 0.1, frames, canvas=canvas)
        return DasModel(architecture, policy, CLASSES, [0.5] * 3, [0.25] * 3)

    return make


@pytest.fixture
def criterion() -> nn.Module:
    return nn.CrossEntropyLoss()
