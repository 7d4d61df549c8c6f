import pytest
import torch

from das.errors import DasError
from das.models import video_model


@pytest.mark.parametrize("name", ["resnet8", "resnet20"])
@pytest.mark.parametrize("fusion", ["none", "tsm"])
def test_shapes(name, fusion):
    model = video_model(name, 7, 4, fusion=fusion, in_channels=1)
    videos = torch.rand(2, 4, 1, 28, 28)
    assert model(videos).shape == (2, 7)
    assert model.frame_logits(videos).shape == (2, 4, 7)


def test_refuses_other_frames():
    with pytest.raises(DasError, match="T = 4"):
        video_model("resnet8", 7, 4)(torch.rand(2, 5, 3, 32, 32))
