"""Corrected tests, published numbers and costs beside ours, on made-up results."""

import math
from statistics import stdev

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from das.analysis import results
from das.analysis.charts import accuracy_against_compute, training_curves
from das.analysis.published import published_table
from das.analysis.searches import readable_search_costs, search_cost_table
from das.analysis.statistics import holm, noise_floor, paired_difference, paired_p_value
from das.analysis.tables import _interval, _p_value, accuracy_table, write_tables
from das.errors import DasError
from das.study import check, of_study, published
from das.study.published import COLUMNS, known_as
from das.study.schema import Tuning

SEEDS = (0, 1, 2)
CURVES = {
    "baseline": [[0.2, 0.5, 0.6], [0.1, 0.7, 0.6], [0.3, 0.4, 0.5]],
    "cutmix": [[0.1, 0.6, 0.7], [0.1, 0.6, 0.69], [0.1, 0.6, 0.61]],
    "automix": [[0.1, 0.5, 0.61], [0.1, 0.5, 0.59], [0.1, 0.5, 0.51]],
    "tta": [[0.65], [0.66], [0.57]],
}
TRAINING = {"baseline": 100.0, "cutmix": 110.0, "automix": 260.0}


def study():
    return check(
        {
            "study": {"name": "made", "datasets": ["pictures"], "backbones": ["small"], "methods": list(CURVES),
                      "seeds": list(SEEDS), "reference": "baseline"},
            "datasets": {"pictures": {"title": "CIFAR-10", "reader": "cifar10", "recipe": "short",
                                      "options": {"train_per_class": 100}}},
            "backbones": {"small": {"title": "ResNet-18", "network": "resnet18_cifar"}},
            "recipes": {"short": {"epochs": 3, "batch_size": 10, "lr": 0.1}},
            "cells": {"four": {"frames": 4}},
            "policies": {"same": {"source": "replicate", "cell": "four"}},
            "methods": {
                "baseline": {"title": "Single frame"},
                "cutmix": {"title": "CutMix", "augment": ["cutmix"]},
                "automix": {"title": "AutoMix", "augment": ["automix"]},
                "tta": {"title": "At test time", "weights_of": "baseline", "policy": "same"},
            },
        },
        "made",
    )  # fmt: skip


@pytest.fixture
def made(tmp_path, monkeypatch, leave):
    """The study with all its results but AutoMix's last seed."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "published"
    folder.mkdir(parents=True)
    rows = [
        ["cifar10", "resnet18", "baseline", "200", "top1", "94.87", "%", "one (median of the last 10 epochs)"],
        ["cifar10", "resnet18", "cutmix", "3", "top1", "96.11", "%", "two"],
        ["cifar10", "resnet50", "cutmix", "3", "top1", "90", "%", "another network"],
        ["cifar100", "resnet18", "cutmix", "3", "top1", "90", "%", "another data set"],
        ["cifar10", "resnet18", "cutmix", "3", "top1_gain", "1.0", "points", "another measure"],
        ["cifar10", "", "dada", "", "search_cost", "0.1", "GPU hours", "three"],
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "published_numbers.csv", index=False)
    paper = [["cifar10", "resnet18", "tta", "", "top1", "70", "%", "the paper"]]
    pd.DataFrame(paper, columns=COLUMNS).to_csv(folder / "das_paper.csv", index=False)
    plan = study()
    for number in of_study(plan):
        if (number.method, number.seed) == ("automix", 2):
            continue
        curve = CURVES[number.method][number.seed]
        trained = number.method in TRAINING
        best = max(curve)
        content = {
            "number": number.identity,
            "metric": "accuracy",
            "last": {"epoch": len(curve), "accuracy": curve[-1], "loss": 1.0},
            "best": {"epoch": curve.index(best) + 1, "accuracy": best, "loss": 1.0},
            "cost": {"frames": 1 if trained else 4, "train_frames": 3000 if trained else 0, "parameters": 5},
            "curves": {
                "train_loss": [2.0, 1.0, 0.5],
                "test_epoch": list(range(1, len(curve) + 1)),
                "test_accuracy": curve,
                "test_loss": [1.0] * len(curve),
            },
            "digests": {"settings": number.digest},
        }
        cost = {"device_s": TRAINING[number.method], "test_device_s": 2.0} if trained else {"device_s": 8.0}
        run = {"cost": cost}
        if number.method == "cutmix":
            run["augmentation_search"] = [{"device_s": 36.0, "wall_s": 40.0, "space_size": 7, "chosen": "c"}]
        leave(number, content, **run)
    return plan


def test_holm_of_a_hand_worked_case():
    # sorted .01 .02 .03 .04 times 4 3 2 1: .04 .06 .06 .04, made monotone: .04 .06 .06 .06
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    with_gap = holm([0.01, math.nan, 0.5])
    assert with_gap[0] == pytest.approx(0.02)
    assert math.isnan(with_gap[1])


def test_the_paired_p_value_is_the_t_tests():
    ours, theirs = {0: 5.0, 1: 7.0, 2: 6.5, 9: 100.0}, {0: 4.0, 1: 6.5, 2: 4.5}
    assert paired_p_value(ours, theirs) == pytest.approx(stats.ttest_rel([5, 7, 6.5], [4, 6.5, 4.5]).pvalue)
    assert math.isnan(paired_p_value({0: 1.0}, {0: 2.0}))
    assert paired_p_value({0: 1.0, 1: 2.0}, {0: 1.0, 1: 2.0}) == 1.0


@pytest.mark.parametrize("step", [0.5, -0.1])
def test_equal_differences_are_too_few_seeds_and_never_certain(step):
    """A t test would divide by a spread of nothing, or of rounding."""
    theirs = {0: 81.3, 1: 80.45, 2: 82.1}
    ours = {seed: accuracy + step for seed, accuracy in theirs.items()}
    assert math.isnan(paired_p_value(ours, theirs))
    assert math.isnan(paired_p_value({0: ours[0], 1: ours[1]}, theirs))
    assert _p_value(paired_p_value(ours, theirs)) == "too few seeds"
    assert _interval(paired_difference(ours, theirs), signed=True) == f"{step:+.2f} (too few seeds)"
    assert _interval(paired_difference(theirs, theirs), signed=True) == "+0.00 ± 0.00"


def test_the_accuracy_table_corrects_for_its_comparisons(made):
    table = accuracy_table(made).set_index("name")
    differences = [[10, 9, 11], [1, -1], [5, 6, 7]]
    raw = [stats.ttest_1samp(values, 0).pvalue for values in differences]
    assert table.p_value[["cutmix", "automix", "tta"]].tolist() == pytest.approx(raw)
    assert math.isnan(table.p_holm["baseline"])
    order = sorted(range(3), key=raw.__getitem__)
    assert table.p_holm.iloc[1 + order[0]] == pytest.approx(3 * raw[order[0]])
    assert table.median_accuracy["baseline"] == pytest.approx(100 * (0.5 + 0.6 + 0.4) / 3)
    assert table.late_change["baseline"] == pytest.approx(100 * (0.1 - 0.1 + 0.1) / 3)  # epoch 3 against epoch 2 of 3
    assert math.isnan(table.late_change["tta"])
    assert table.best_epoch_accuracy["baseline"] == pytest.approx(100 * (0.6 + 0.7 + 0.5) / 3)


def test_the_table_says_at_what_cost_methods_are_equal_and_how_far_noise_reaches(made):
    table = accuracy_table(made).set_index("name")
    assert table.equal_epochs.to_dict() == {"baseline": True, "cutmix": True, "automix": True, "tta": True}
    assert table.equal_training.all()  # a test of other weights has their training
    assert table.equal_test.to_dict() == {"baseline": True, "cutmix": True, "automix": True, "tta": False}
    last = [100 * CURVES["baseline"][seed][-1] for seed in range(3)]
    floor = stats.t.ppf(0.975, 2) * math.sqrt(2) * stdev(last)
    assert table.noise.to_dict() == pytest.approx(
        {"baseline": floor / 3**0.5, "cutmix": floor / 3**0.5, "automix": floor / 2**0.5, "tta": floor / 3**0.5}
    )
    assert table.tuned.all()
    asked = made.model_copy(update={"tuning": Tuning(trials=1, recipe={"lr": [0.1]})})
    assert not accuracy_table(asked).set_index("name").tuned[["baseline", "cutmix"]].any()
    assert accuracy_table(asked).set_index("name").tuned["tta"]


def test_the_noise_floor_is_left_by_one_in_twenty_differences_that_are_none():
    draws = np.random.default_rng(0)
    scores = draws.normal(80, 1.5, (4000, 12)) + np.repeat([0.0, 3.0, -2.0], 4)  # three splits, not alike
    others = draws.normal(80, 1.5, (4000, 2, 10))
    floors = np.array([noise_floor(row.reshape(3, 4).tolist(), 10) for row in scores])
    outside = np.abs(others[:, 0].mean(1) - others[:, 1].mean(1)) > floors
    assert abs(outside.mean() - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert math.isnan(noise_floor([[1.0], [2.0]], 10))


def test_costs_tell_search_training_and_test_apart(made):
    table = accuracy_table(made).set_index("name")
    assert table.search_s.to_dict() == {"baseline": 0, "cutmix": 36, "automix": 0, "tta": 0}
    assert table.train_s.to_dict() == {"baseline": 100, "cutmix": 110 - 36, "automix": 260, "tta": 100}
    assert table.test_s.to_dict() == {"baseline": 2, "cutmix": 2, "automix": 2, "tta": 8}


def test_published_numbers_stand_beside_ours_with_source_and_difference(made):
    table = published_table(made)
    assert table.method.tolist() == ["Single frame", "CutMix", "At test time"]
    assert table.source.tolist() == ["one (median of the last 10 epochs)", "two", "the paper"]
    assert table.difference[1] == pytest.approx(100 * (0.7 + 0.69 + 0.61) / 3 - 96.11)
    part = "ours on part of the training set"
    assert table.protocol.tolist() == [
        f"200 epochs, ours 3; median of the last epochs, ours the last; {part}",
        part,
        f"epochs not given; {part}",
    ]


def test_methods_are_known_by_their_one_augmentation():
    methods = study().methods
    assert [known_as(methods[name]) for name in CURVES] == ["baseline", "cutmix", "automix", None]
    halved = {"temporal_resolution_decrement": {"fraction": 0.9}}
    made = methods["cutmix"].model_copy(update={"augment": [halved]})
    assert known_as(made) == "temporal_resolution_decrement_90"


def test_search_costs_of_ours_and_of_others(made):
    table = search_cost_table(made)
    ours, theirs = table.iloc[0], table.iloc[1]
    assert (ours.method, ours.seeds, ours.space_size, ours.source) == ("CutMix", 3, 7, "measured here")
    assert ours.device_hours == pytest.approx(0.01)
    assert (theirs.method, theirs.dataset, theirs.device_hours, theirs.source) == ("DADA", "CIFAR-10", 0.1, "three")
    shown = readable_search_costs(table)
    assert shown["CPU hours"].tolist() == ["0.01", ""]  # the study runs on a CPU, the other was published in GPU hours
    assert shown["GPU hours"].tolist() == ["", "0.1"]


def test_everything_is_written_and_what_was_not_run_says_so(made, tmp_path):
    write_tables(made, tmp_path / "tables")
    names = {path.name for path in (tmp_path / "tables").iterdir()}
    assert names == {
        f"{table}{suffix}"
        for table in ("accuracy", "cost", "published", "search", "search_cost")
        for suffix in (".csv", ".md", ".tex", "_full.tex")
    }
    assert "2 of 3" in (tmp_path / "tables" / "accuracy.md").read_text()
    for number in of_study(made):
        number.number.unlink(missing_ok=True)
    write_tables(made, tmp_path / "tables")
    assert "not run" in (tmp_path / "tables" / "published.md").read_text()
    assert not results.numbers(made).made.any()
    accuracy_against_compute(made)


def test_the_curves_figure_shows_every_training_and_how_far_apart_seeds_end(made):
    losses, scores = training_curves(made).axes
    losses, shown = (
        {line.get_label(): line for line in panel.get_lines() if not line.get_label().startswith("_")}  # ends of bars
        for panel in (losses, scores)
    )
    assert list(shown) == ["Single frame", "CutMix", "AutoMix"]
    assert shown["Single frame"].get_ydata() == pytest.approx([20, 160 / 3, 170 / 3])
    assert list(shown["Single frame"].get_xdata()) == [1, 2, 3]
    (stem,) = scores.containers[0].lines[2]  # from the lowest seed to the highest, at the end
    assert stem.get_segments()[0].tolist() == [[3, pytest.approx(50)], [3, pytest.approx(60)]]
    assert [list(line.get_ydata()) for line in losses.values()] == [[2.0, 1.0, 0.5]] * 3


def test_the_compute_figure_shows_every_method_at_its_cost(made):
    figure = accuracy_against_compute(made)
    training, test = figure.axes
    shown = places(training)
    assert shown["AutoMix"] == pytest.approx((260.0, 60.0))
    assert shown["At test time"] == pytest.approx((100.0, 100 * (0.65 + 0.66 + 0.57) / 3))
    front = training.lines[-1]
    assert list(front.get_xdata()) == [100.0, 110.0]  # test-time frames at 100 s, then CutMix; AutoMix is beaten
    assert set(places(test)) == set(shown)
    texts = {text.get_text() for text in figure.legends[0].get_texts()}
    assert texts == {*shown, "no method reaches more at lower cost"}


def places(panel):
    """Where each method's mark stands, by the method's name in the legend."""
    return {bars.get_label(): tuple(float(value[0]) for value in bars.lines[0].get_data()) for bars in panel.containers}


@pytest.mark.parametrize(
    ("text", "words"), [("a,b\n", "should be dataset"), ("x" * 3, "should be"), (None, "cannot be read")]
)
def test_damaged_files_of_published_numbers_are_named(made, text, words):
    path = published.FOLDER / "das_paper.csv"
    path.unlink()
    if text:
        path.write_text(text)
    with pytest.raises(DasError, match="das_paper") as caught:
        published.rows()
    assert words in str(caught.value)
