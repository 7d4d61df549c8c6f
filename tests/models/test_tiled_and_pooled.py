"""Rival ways to read frames: tiled into one image, or pooled as features; against slow loops."""

import pytest
import torch

from das.errors import DasError
from das.models import video_model
from das.models.segmentation import segmenter
from das.models.video import tiled


@pytest.mark.parametrize(("frames", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (3, 2, 2), (4, 2, 2), (8, 3, 3)])
def test_tiled_frames_lie_side_by_side(frames, rows, columns):
    videos = torch.rand(2, frames, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = torch.zeros(2, 3, 5 * rows, 7 * columns)
    for frame in range(frames):
        top, left = 5 * (frame // columns), 7 * (frame % columns)
        expected[:, :, top : top + 5, left : left + 7] = videos[:, frame]
    assert torch.equal(tiled(videos), expected)


def test_a_tiled_model_is_the_plain_network_on_the_tiled_image():
    torch.manual_seed(0)
    model = video_model("resnet8", 5, 4, fusion="tiled").eval()
    videos = torch.rand(3, 4, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    top = torch.cat([videos[:, 0], videos[:, 1]], dim=3)
    bottom = torch.cat([videos[:, 2], videos[:, 3]], dim=3)
    plain = model.network(torch.cat([top, bottom], dim=2))
    assert torch.allclose(model(videos), plain, atol=1e-6)
    assert model.frame_logits(videos).shape == (3, 1, 5)
    assert model.places == []


def test_a_segmentation_network_refuses_tiles():
    with pytest.raises(DasError, match="one image of all frames"):
        segmenter("resnet8", "fcn", 3, 4, fusion="tiled")


def features_of(network, frame):
    """The features that the classifier reads, by the network's own modules."""
    x = network.relu(network.bn1(network.conv1(frame)))
    return network.avgpool(network.layer3(network.layer2(network.layer1(x)))).flatten(1)


@pytest.mark.parametrize("fusion", ["none", "tsm"])
def test_features_are_pooled_before_the_classifier(fusion):
    torch.manual_seed(0)
    model = video_model("resnet8", 5, 3, fusion=fusion, consensus="max_features").eval()
    mean = video_model("resnet8", 5, 3, fusion=fusion, consensus="mean_features").eval()
    mean.load_state_dict(model.state_dict())
    videos = torch.rand(2, 3, 3, 12, 12, generator=torch.Generator().manual_seed(1))
    weight, bias = model.network.fc.weight, model.network.fc.bias
    for video, of_max, of_mean in zip(videos, model(videos), mean(videos), strict=True):
        if fusion == "none":
            read = [features_of(model.network, frame[None])[0] for frame in video]
        else:
            model(video[None])  # tells the shifts the number of frames
            read = list(features_of(model.network, video))
        highest = torch.stack([max(frame[c] for frame in read) for c in range(len(read[0]))])
        average = torch.stack([sum(frame[c] for frame in read) / 3 for c in range(len(read[0]))])
        assert torch.allclose(of_max, weight @ highest + bias, atol=1e-5)
        assert torch.allclose(of_mean, weight @ average + bias, atol=1e-5)


def test_the_gradient_of_max_pooling_goes_to_the_frame_that_won():
    torch.manual_seed(0)
    model = video_model("resnet8", 2, 2, consensus="max_features").eval()
    videos = torch.rand(1, 2, 3, 12, 12, generator=torch.Generator().manual_seed(1)).requires_grad_()
    videos.data[:, 1] = videos.data[:, 0]
    videos.data[:, 1] *= 0  # a black frame
    model(videos)[0, 0].backward()
    first, second = (features_of(model.network, frame[None])[0] for frame in videos.detach()[0])
    assert (first > second).any()
    assert videos.grad[0, 0].abs().sum() > 0


def test_the_most_confident_frame_is_the_one_with_the_highest_probability():
    from das.models.consensus import build_consensus

    logits = torch.tensor(
        [[[0.0, 1.0, 0.0], [9.0, 9.0, 9.0], [2.0, -3.0, 0.0]], [[0.0, 0.1, 0.0], [0.0, 0, 0], [0, 0, 0]]]
    )
    assert build_consensus("most_confident", 3)(logits).tolist() == [logits[0, 2].tolist(), logits[1, 0].tolist()]
