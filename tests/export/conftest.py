import pytest
import torch

from das import tasks
from das.study.schema import Architecture
from das.video.family import Family


@pytest.fixture
def make_model():
    """A model of any architecture, whose norms have seen images and whose gates are open."""

    def make(network="resnet8", policy=None, size=32, channels=3, classes=("cat", "dog", "eel"), **architecture):
        torch.manual_seed(0)
        policy = policy or Family(frames=4, seed=1).random(1)
        described = Architecture(network=network, **architecture)
        model = tasks.model(described, policy, classes, [0.4] * channels, [0.2] * channels)
        with torch.no_grad():
            for parameter in model.network.parameters():
                if not parameter.any():
                    parameter.uniform_(-0.3, 0.3)
            model.train()(torch.rand(4, channels, size, size))
        return model.eval()

    return make
