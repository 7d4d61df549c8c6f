"""Pictures of segmentation's predictions."""

import math

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from das.analysis.predictions import CONTRASTING, colors_of, frame_predictions, image_iou, predictions_figure
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


def test_titles_say_which_image_and_how_well_the_means_fit_it():
    model = model_of(Policy.replicate(2))
    model.network = Brightness()
    images = torch.zeros(1, 3, 8, 8)
    images[..., :4] = 1
    mask = torch.zeros(1, 8, 8, dtype=torch.long)
    mask[..., :2] = 1  # of 32 bright pixels 16 are of class 1: IoU 1/2; of class 0: 32 of 48
    figure = predictions_figure(model, images, mask, names=["test image 7"])
    titles = [axis.get_title() for axis in figure.axes]
    assert "test image 7" in titles
    assert "mean brought back\nIoU 58%" in titles


def test_the_iou_of_an_image_is_the_mean_over_the_classes_of_its_mask():
    mask = np.array([[0, 0, 2, 2], [0, 0, 2, IGNORE]])
    labels = np.array([[0, 0, 2, 1], [2, 0, 2, 2]])
    assert image_iou(labels, mask) == pytest.approx((3 / 4 + 2 / 4) / 2)  # 0: 3 of 4; 2: 2 of 3 and a wrong one
    assert image_iou(mask, mask) == 1
    assert math.isnan(image_iou(labels, np.full((2, 4), IGNORE)))


def test_few_classes_have_contrasting_colors_and_many_their_data_sets():
    """Which gray printers tell apart: luma (ITU-R BT.601) a twentieth of the way from black to white at least."""
    model = model_of(Policy.replicate(1))
    model.colors = ((255, 0, 0), (0, 0, 255))
    assert colors_of(model) == [to_rgb(color) for color in CONTRASTING[:2]]
    luma = sorted(np.array([to_rgb(color) for color in CONTRASTING]) @ [0.299, 0.587, 0.114])
    assert min(np.diff(luma)) > 0.05
    model.classes, model.colors = tuple("abcdefgh"), tuple((number, 0, 255) for number in range(8))
    assert colors_of(model)[3] == (3 / 255, 0, 1)
