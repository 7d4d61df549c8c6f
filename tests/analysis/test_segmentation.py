"""Segmentation's table from written numbers, and pictures of predictions."""

from pathlib import Path

import numpy as np
import pytest
import torch

from das.analysis.segmentation import (
    frame_predictions,
    predictions_figure,
    readable_segmentation,
    segmentation_table,
    write_tables,
)
from das.data.crops import IGNORE
from das.study import load_study, of_method
from das.study.schema import Architecture, Head, SegmentationRecipe
from das.tasks import model as make_model
from das.video.policy import Policy

ROOT = Path(__file__).parents[2]
CLASSES = ("water", "land")


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(ROOT / "data")
    Path("two.yaml").write_text("study: {methods: [baseline, das, das_mean_logits], seeds: [0, 1]}")
    return load_study([ROOT / "params.yaml", ROOT / "config/segmentation.yaml", "two.yaml"])


def write_number(leave, study, method, seed, miou, pixel, water, land):
    number = of_method(study, "land_cover", "pspnet_resnet8", method, seed)
    last = {"epoch": 1, "miou": miou, "loss": 1.0, "pixel_accuracy": pixel, "boundary_iou": pixel / 2}
    last["class_iou"] = {"water": water, "land": land}
    content = {
        "metric": "miou", "miou": miou, "last": last, "best": {"epoch": 1, "miou": miou, "loss": 1.0},
        "curves": {"test_epoch": [1], "test_miou": [miou]}, "cost": {"frames": 1, "train_frames": 10},
        "digests": {"settings": number.digest}, "number": number.identity,
    }  # fmt: skip
    leave(number, content)


def test_the_table_holds_means_intervals_consensus_and_what_was_not_run(study, leave):
    write_number(leave, study, "baseline", 0, 0.40, 0.6, 0.5, 0.3)
    write_number(leave, study, "baseline", 1, 0.44, 0.8, 0.6, None)
    write_number(leave, study, "das", 0, 0.50, 0.7, 0.6, 0.4)
    write_number(leave, study, "das", 1, 0.50, 0.7, 0.6, 0.4)
    table = segmentation_table(study).set_index("name")
    assert table.miou.iloc[:2].tolist() == pytest.approx([42.0, 50.0])
    assert table.difference["das"] == pytest.approx(8.0)
    assert table.miou_ci95["baseline"] == pytest.approx(12.706 * 2.0, rel=1e-3)  # t of 1 degree; 2 points either way
    assert table.consensus.tolist() == ["aligned_mean", "aligned_mean", "mean_logits"]
    assert table.pixel_accuracy["baseline"] == pytest.approx(70.0)
    assert table.boundary_iou["baseline"] == pytest.approx(35.0)
    assert table.iou_water["baseline"] == pytest.approx(55.0)
    assert table.iou_land["baseline"] == pytest.approx(30.0)  # of the one seed that has it
    assert np.isnan(table.pixel_accuracy["das_mean_logits"])
    shown = readable_segmentation(study, segmentation_table(study))
    assert shown["mIoU, %"].tolist()[1:] == ["50.00 ± 0.00", "not run"]
    assert shown["IoU land, %"].tolist() == ["30.00", "40.00", "not run"]
    write_tables(study, Path("out"))
    names = {f"{name}.{suffix}" for name in ("segmentation", "search") for suffix in ("csv", "md", "tex")}
    assert {path.name for path in Path("out").iterdir()} == names


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
