"""A small model and batches for what is tested of the competing augmentations."""

import pytest
import torch
from das.engine.model import DasModel
from torch import nn

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
        settings = {
            "backbone": {"network": "resnet8", "options": {"width": 8}, "pretrained": False, "dropout": 0.0},
            "method": {"fusion": "none" if frames == 1 else "tsm", "fusion_options": {}, "consensus": "mean_logits"},
        }
        policy = Policy.single("translate_x", 0.1, frames, canvas=canvas)
        return DasModel(settings, policy, CLASSES, [0.5] * 3, [0.25] * 3)

    return make


@pytest.fixture
def criterion() -> nn.Module:
    return nn.CrossEntropyLoss()
