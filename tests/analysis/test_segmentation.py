"""Segmentation's tables from written numbers."""

from pathlib import Path

import numpy as np
import pytest

from das.analysis.segmentation import (
    class_iou_table,
    readable_class_iou,
    readable_segmentation,
    segmentation_table,
    write_tables,
)
from das.study import load_study, of_method

ROOT = Path(__file__).parents[2]


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
    classes = class_iou_table(study)
    by_class = classes.set_index(["name", "class"]).iou
    assert by_class["baseline", "water"] == pytest.approx(55.0)
    assert by_class["baseline", "land"] == pytest.approx(30.0)  # of the one seed that has it
    assert np.isnan(table.pixel_accuracy["das_mean_logits"])
    shown = readable_segmentation(study, segmentation_table(study))
    assert shown["mIoU, %"].tolist()[1:] == ["50.00 ± 0.00", "not run"]
    assert not any("IoU water" in column for column in shown)
    methods = [study.methods[name].title for name in ("baseline", "das", "das_mean_logits")]
    by_class = readable_class_iou(study, classes).set_index("Class")
    assert by_class.loc["land", methods].tolist() == ["30.00", "40.00", "not run"]
    write_tables(study, Path("out"))
    suffixes = (".csv", ".md", ".tex", "_full.tex")
    names = {f"{name}{suffix}" for name in ("segmentation", "class_iou", "search") for suffix in suffixes}
    assert {path.name for path in Path("out").iterdir()} == names
