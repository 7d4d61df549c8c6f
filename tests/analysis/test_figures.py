"""What the figures of searches show."""

import pytest

from das.analysis.figures import alpha_over_time, tournaments


def test_a_tournament_shows_every_entrant_until_it_is_out_and_its_winner():
    rounds = [{"0": 0.9, "1": 0.7, "2": 0.8, "3": 1.0}, {"1": 0.6, "2": 0.5}]
    search = {"policy": "searched", "seed": 3, "history": {"selection": {"rule": "tournament", "rounds": rounds}}}
    (panel,) = tournaments([search]).axes
    lines = {tuple(line.get_ydata()): line.get_color() for line in panel.get_lines()}
    assert set(lines) == {(0.9,), (0.7, 0.6), (0.8, 0.5), (1.0,)}
    assert [losses for losses, color in lines.items() if color == "C3"] == [(0.8, 0.5)]
    assert panel.get_title() == "searched, seed 3"


def test_alpha_has_a_row_a_policy_and_a_color_an_operation():
    grid = {"alpha": [[[0.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]]], "candidates": ["identity", "zoom 0.85", "zoom 1.15"]}
    drawn = {"alpha": [[[0.0, 0.0]] * 2, [[1.0, 0.0], [0.0, 0.0]]], "candidates": ["identity", "rotate"]}
    searches = [
        {"policy": "one_edge", "seed": 0, "history": grid},
        {"policy": "searched", "seed": 0, "history": drawn},
        {"policy": "searched", "seed": 1, "history": drawn},
    ]
    one, *others = alpha_over_time(searches).axes
    assert [panel.get_title() for panel in others] == ["searched, seed 0", "searched, seed 1"]
    lines = {line.get_label(): line for line in one.get_lines()}
    assert lines["zoom 1.15"].get_ydata()[1] == pytest.approx(2.718281828 / 4.718281828)
    assert lines["zoom 1.15"].get_color() == lines["zoom 0.85"].get_color() != lines["identity"].get_color()
    assert lines["zoom 1.15"].get_linestyle() != lines["zoom 0.85"].get_linestyle()
    assert others[0].get_lines()[0].get_ydata()[1] == pytest.approx((2.718281828 / 3.718281828 + 0.5) / 2)
    assert [text.get_text() for text in one.get_legend().get_texts()] == grid["candidates"]
