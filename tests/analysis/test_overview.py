"""What the overview of a study says, and that it says no more than the numbers."""

import pytest
import torch

from das.analysis.overview import finding, overview
from das.analysis.tables import accuracy_table
from das.analysis.words import MINUS

NONE, AGAINST = "No difference found between DAS das and Single frame DAS", "DAS das against Single frame DAS"
BASELINE = [0.80, 0.82, 0.81, 0.80]


def plus(*points):
    return [accuracy + point / 100 for accuracy, point in zip(BASELINE, points, strict=True)]


@pytest.mark.parametrize(
    ("das", "said"),
    [
        (plus(3.0, 3.1, 2.9, 3.0), "DAS das does better than Single frame DAS: +3.00 ± 0.13 points, 4 seeds"),
        (plus(-3.0, -3.1, -2.9, -3.0), f"DAS das does worse than Single frame DAS: {MINUS}3.00 ± 0.13 points, 4 seeds"),
        (plus(3.0, -3.1, 2.9, 0.0), f"{NONE}: +0.70 ± 4.60 points, 4 seeds"),
        (
            plus(0.5, 0.6, 0.4, 0.5),
            "DAS das does better than Single frame DAS: +0.50 ± 0.13 points, 4 seeds "
            "(no more than seeds alone can differ)",
        ),
        (plus(3.0, 3.0, 3.0, 3.0), f"{AGAINST}: +3.00 points, 4 seeds: too few to tell chance from effect"),
        ([0.83], f"{AGAINST}: +3.00 points, 1 seed: too few to tell chance from effect"),
        ([], "DAS das: not run yet, or without seeds in common with Single frame DAS"),
    ],
)
def test_what_is_found_is_what_the_interval_and_p_allow(invented, das, said):
    """Half-widths are t (3 degrees of freedom, 3.182) times the standard deviation over the root of 4."""
    table = accuracy_table(invented({"baseline": BASELINE, "das": das}, 4))
    assert finding(table, "das", "baseline") == said


def test_a_difference_that_correction_makes_insignificant_is_none(invented):
    """p is 0.03 alone and 0.09 as the least of three."""
    chance = plus(2.0, -2.0, 1.0, -1.0)
    das = plus(0.8, 1.35, 0.6, 1.9)
    table = accuracy_table(invented({"baseline": BASELINE, "das": das, "das2": chance, "das3": chance[::-1]}, 4))
    row = table.set_index("name").loc["das"]
    assert row.difference > row.difference_ci95
    assert row.p_value < 0.05 < row.p_holm
    assert finding(table, "das", "baseline").startswith("No difference found")


def test_every_difference_stands_beside_its_noise(invented):
    study = invented({"baseline": BASELINE, "das": plus(3.0, 3.1, 2.9, 3.0), "das2": []}, 4)
    figure = overview(study, torch.rand(1, 1, 28, 28))
    texts = [text.get_text() for axis in figure.axes for text in (*axis.texts, axis.title)]
    assert "its video of 4 frames" in [axis.get_title(loc="left") for axis in figure.axes]
    assert any("TSM across frames" in text for text in texts)
    panel = figure.axes[-1]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["DAS das", "DAS das2"]
    (noise,) = panel.patches
    expected = accuracy_table(study).set_index("name").noise["das"]
    assert (noise.get_x(), noise.get_width()) == pytest.approx((-expected, 2 * expected))
    assert [text.get_text() for text in panel.texts if "not run" in text.get_text()] == ["not run"]
    assert panel.get_xlim()[0] == -panel.get_xlim()[1]
