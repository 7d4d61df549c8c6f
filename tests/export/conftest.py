import pytest
import torch

from das import tasks
from das.study.schema import Architecture
from das.video.family import Family


@pytest.fixture
def make_model():
    """A model of any architecture, whose norms have seen images and whose gates are open, but not so far that they
    switch: a saturated gate turns the last bit of a sum into another answer, which says nothing of the export."""

    def make(network="resnet8", policy=None, size=32, channels=3, classes=("cat", "dog", "eel"), **architecture):
        torch.manual_seed(0)
        policy = policy or Family(frames=4, seed=1).random(1)
        described = Architecture(network=network, **architecture)
        model = tasks.model(described, policy, classes, [0.4] * channels, [0.2] * channels)
        with torch.no_grad():
            for parameter in model.network.parameters():
                if not parameter.any():
                    inputs = parameter[0].numel() if parameter.ndim > 1 else 1
                    parameter.uniform_(-0.3 / inputs**0.5, 0.3 / inputs**0.5)
            model.train()(torch.rand(4, channels, size, size))
        return model.eval()

    return make
