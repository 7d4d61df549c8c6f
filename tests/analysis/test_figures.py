"""What the figures of searches show."""

import pandas as pd
import pytest

from das.analysis.search_charts import alpha_over_time, tournaments
from das.analysis.style import telling

PLACE = {"dataset": "pictures", "backbone": "small"}


def test_a_tournament_shows_every_entrant_until_it_is_out_and_its_winner():
    rounds = [{"0": 0.9, "1": 0.7, "2": 0.8, "3": 1.0}, {"1": 0.6, "2": 0.5}]
    search = PLACE | {"policy": "searched", "seed": 3, "history": {"selection": {"rounds": rounds}}}
    (panel,) = tournaments([search]).axes
    lines = {tuple(line.get_ydata()): line.get_color() for line in panel.get_lines()}
    assert set(lines) == {(0.9,), (0.7, 0.6), (0.8, 0.5), (1.0,)}
    assert [losses for losses, color in lines.items() if color != "0.6"] == [(0.8, 0.5)]
    assert panel.get_title(loc="left") == "pictures, small, searched, seed 3"


def test_alpha_has_a_row_a_policy_and_a_panel_an_operation():
    grid = {"alpha": [[[0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]], "candidates": ["identity", "zoom 0.85", "zoom 1.15"]}
    drawn = {"alpha": [[[0.0, 0.0]] * 2, [[1.0, 0.0], [0.0, 0.0]]], "candidates": ["identity", "rotate"]}
    searches = [
        PLACE | {"policy": "one_edge", "seed": 0, "history": grid},
        PLACE | {"policy": "searched", "seed": 0, "history": drawn},
        PLACE | {"policy": "searched", "seed": 1, "history": drawn},
    ]
    figure = alpha_over_time(searches)
    titles = [part.get_suptitle() for part in figure.subfigs]
    assert titles == ["pictures, small, one_edge: seed 0", "pictures, small, searched: seeds 0, 1"]
    _, zoom, still, turned = figure.axes
    assert [panel.get_title() for panel in figure.axes] == ["identity", "zoom", "identity", "rotation"]
    smaller, larger, even = zoom.get_lines()
    assert larger.get_ydata()[1] == pytest.approx(2.718281828 / 4.718281828)
    assert even.get_ydata()[0] == pytest.approx(1 / 3)
    assert (smaller.get_linestyle(), smaller.get_color()) != (larger.get_linestyle(), larger.get_color())
    assert [text.get_text() for text in zoom.get_legend().get_texts()] == ["0.85", "1.15"]
    means = [line for line in still.get_lines() if line.get_linewidth() == 1.4]
    assert [line.get_ydata()[1] for line in means] == pytest.approx([(2.718281828 / 3.718281828 + 0.5) / 2] * 2)
    edges = {line.get_ydata()[1] for line in still.get_lines() if line.get_linewidth() == 0.6}
    assert sorted(edges) == pytest.approx([0.5, 2.718281828 / 3.718281828])
    assert len(turned.get_lines()) == 2 * (2 + 1 + 1)


@pytest.mark.parametrize(
    ("seeds", "held"),
    [
        ([5, 2, 1], [1.0, 0.0, 0.0]),  # the interval of two seeds, 13 times as long, leaves room to the other
        ([2, 2, 1], [1.0, 13.0, 0.0]),  # unless no method has more
        ([3, 12, 1], [1.0, 13.0, 0.0]),
        ([0, 0, 1], [0.0, 0.0, 0.0]),
    ],
)
def test_axes_hold_the_intervals_that_tell_something(seeds, held):
    intervals = pd.Series([1.0 if seeds[0] else None, 13.0 if seeds[1] else None, None], dtype=float)
    assert telling(intervals, pd.Series(seeds)).tolist() == held
