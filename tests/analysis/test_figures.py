"""What the figures of searches show."""

from das.analysis.figures import tournaments


def test_a_tournament_shows_every_entrant_until_it_is_out_and_its_winner():
    rounds = [{"0": 0.9, "1": 0.7, "2": 0.8, "3": 1.0}, {"1": 0.6, "2": 0.5}]
    search = {"policy": "searched", "seed": 3, "history": {"selection": {"rule": "tournament", "rounds": rounds}}}
    (panel,) = tournaments([search]).axes
    lines = {tuple(line.get_ydata()): line.get_color() for line in panel.get_lines()}
    assert set(lines) == {(0.9,), (0.7, 0.6), (0.8, 0.5), (1.0,)}
    assert [losses for losses, color in lines.items() if color == "C3"] == [(0.8, 0.5)]
    assert panel.get_title() == "searched, seed 3"
