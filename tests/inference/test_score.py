"""The test on a labeled folder, against definitions written out."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from das.cli.images import score as command
from das.engine.checkpoint import checkpoint
from das.errors import DasError
from das.inference.predict import predict
from das.inference.score import Scores, score


@pytest.fixture
def scores() -> tuple[Scores, np.ndarray, np.ndarray]:
    """Of 200 pictures of four classes, the last of which no picture shows; what was true and what was predicted."""
    draws = np.random.default_rng(0)
    truth = draws.choice(3, 200, p=[0.6, 0.3, 0.1])
    predicted = np.where(draws.random(200) < 0.7, truth, draws.choice(4, 200))
    confusion = np.zeros((4, 4), dtype=np.int64)
    for true, label in zip(truth, predicted, strict=True):
        confusion[true, label] += 1
    return Scores(tuple("abcd"), confusion), truth, predicted


def test_scores_are_those_of_their_definitions(scores):
    found, truth, predicted = scores
    assert found.accuracy == pytest.approx((predicted == truth).mean())
    recalls = [(predicted[truth == label] == label).mean() for label in range(3)]
    assert found.balanced_accuracy == pytest.approx(np.mean(recalls))
    table = found.per_class()
    for label, name in enumerate("abc"):
        hits = ((predicted == label) & (truth == label)).sum()
        precision, recall = hits / (predicted == label).sum(), hits / (truth == label).sum()
        assert table.precision[name] == pytest.approx(precision)
        assert table.recall[name] == pytest.approx(recall)
        assert table.f1[name] == pytest.approx(2 * precision * recall / (precision + recall))
        assert table.iou[name] == pytest.approx(hits / ((predicted == label) | (truth == label)).sum())
    assert np.isnan(table.recall["d"])
    assert table["count"].tolist() == np.bincount(truth, minlength=4).tolist()


def test_calibration_error_is_the_weighted_gap_of_its_bins(model, photos):
    found = score(model, photos)
    said = list(predict(model, [photos]))
    confidence = np.array([float(one.shares.max()) for one in said])
    right = np.array([one.label == one.file.parent.name for one in said])
    expected = 0.0
    for number in range(15):
        inside = (confidence > number / 15) & (confidence <= (number + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
            row = found.reliability().loc[number]
            assert row["count"] == inside.sum()
            assert row.accuracy == pytest.approx(right[inside].mean())
    assert found.calibration_error == pytest.approx(expected, abs=1e-6)


def test_a_folder_is_tested_by_the_names_of_its_folders(model, photos):
    (photos / "cat" / "2.png").write_text("no picture")
    found = score(model, photos)
    said = [one for one in predict(model, [photos]) if one.error is None]
    assert found.count == len(said) == 6
    for row, true in enumerate(model.classes):
        for column, label in enumerate(model.classes):
            count = sum(one.file.parent.name == true and one.label == label for one in said)
            assert found.confusion[row, column] == count
    assert len(found.unread) == 1
    assert "cat/2.png" in found.unread[0]


def test_a_divided_folder_is_tested_on_its_test_part(model, photos, tmp_path):
    (tmp_path / "divided" / "train").mkdir(parents=True)
    photos.rename(tmp_path / "divided" / "test")
    assert score(model, tmp_path / "divided").count == 6


def test_folders_that_no_class_is_named_after_are_refused(model, photos):
    (photos / "dog").mkdir()
    with pytest.raises(DasError, match=r"holds the folders dog; .* the model's classes: ant, bee, cat"):
        score(model, photos)
    with pytest.raises(DasError, match=r"ant: holds no folders"):
        score(model, photos / "ant")
    with pytest.raises(DasError, match="no such folder"):
        score(model, photos / "nowhere")


def test_a_segmentation_is_tested_pixel_by_pixel(segmentation, tmp_path):
    draws = np.random.default_rng(1)
    expected = np.zeros((3, 3), dtype=np.int64)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number, (height, width) in enumerate([(24, 32), (40, 24)]):
        pixels = draws.integers(0, 256, (height, width, 3), dtype=np.uint8)
        labels = draws.choice([0, 1, 2, 255], (height, width)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"images/{number}.png")
        Image.fromarray(labels).save(tmp_path / f"masks/{number}.png")
        with torch.no_grad():
            image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
            predicted = segmentation(image)[0].argmax(0).numpy()
        for true, label in zip(labels.flat, predicted.flat, strict=True):
            if true != 255:
                expected[true, label] += 1
    found = score(segmentation, tmp_path)
    assert np.array_equal(found.confusion, expected)
    unions = expected.sum(0) + expected.sum(1) - expected.diagonal()
    assert found.mean_iou == pytest.approx((expected.diagonal() / unions).mean())


def test_the_command_writes_table_numbers_and_picture(model, photos, tmp_path, capsys):
    (tmp_path / "model.pt").write_bytes(checkpoint(model))
    command(tmp_path / "model.pt", photos, tmp_path / "report")
    written = json.loads((tmp_path / "report.json").read_text())
    found = score(model, photos)
    assert written["accuracy"] == found.accuracy
    assert written["confusion"] == found.confusion.tolist()
    assert sum(row["count"] for row in written["reliability"]) == 6
    assert "balanced accuracy" in capsys.readouterr().out
    for suffix in (".csv", ".png", ".pdf"):
        assert (tmp_path / f"report{suffix}").stat().st_size > 0
