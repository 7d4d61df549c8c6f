"""Pictures of segmentation's predictions."""

import torch

from das.analysis.predictions import frame_predictions, predictions_figure
from das.data.crops import IGNORE
from das.study.schema import Architecture, Head, SegmentationRecipe
from das.tasks import model as make_model
from das.video.policy import Policy

CLASSES = ("water", "land")


def model_of(policy):
    torch.manual_seed(0)
    architecture = Architecture(
        task="segmentation",
        network="resnet8",
        network_options={"width": 8, "stem_stride": 1},
        head=Head(network="fcn", output_stride=4),
        consensus="aligned_mean",
        segmentation=SegmentationRecipe(),
    )
    return make_model(architecture, policy, CLASSES, [0.0] * 3, [1.0] * 3).eval()


class Brightness(torch.nn.Module):
    """Tells bright pixels from dark ones, without interpolation."""

    def forward(self, videos, frames):
        bright = videos.mean(2, keepdim=True) - 0.5
        return (torch.cat([-bright, bright], 2),)


def test_predictions_move_with_their_frames_and_come_back():
    """A bright square, shifted by 4 pixels a step to the right."""
    policy = Policy.single("translate_x", 0.125, 4)
    model = model_of(policy)
    model.network = Brightness()
    images = torch.zeros(1, 3, 32, 32)
    images[..., 10:20, 10:20] = 1
    truth = images[:, 0].long()
    found = frame_predictions(model, images)
    for moved, frame, aligned in zip((8, 4, 0, 4), found["frames"][0], found["aligned"][0], strict=True):
        assert torch.equal(frame[:, moved:], truth[0][:, : 32 - moved])
        assert torch.equal(aligned[:, : 32 - moved], truth[0][:, : 32 - moved])
        assert aligned[:, 32 - moved :].eq(IGNORE).all()
    assert torch.equal(found["fused"], truth)
    assert not torch.equal(found["as_they_come"], truth)


def test_the_picture_has_three_rows_an_image_and_a_column_for_each_frame():
    policy = Policy.single("rotate", 8, 4)
    figure = predictions_figure(model_of(policy), torch.rand(2, 3, 32, 32), torch.zeros(2, 32, 32).long(), "title")
    drawn = [len(axis.images) for axis in figure.axes]
    assert len(drawn) == 2 * 3 * 6
    assert sum(drawn) == 2 * (3 * 4 + 4)  # each frame thrice; image, mask and the two means
