"""What a page says a study found, for results that leave no doubt what is right to say."""

import re

import pytest
from tests.report.studies import make, study

from das.analysis.tables import write_tables
from das.report import answer
from das.study import products


def answered(made, scores):
    """The answers to ``made`` where ``scores`` are the accuracies, in percent, of each method by seed."""
    make(made, lambda run: _share(scores.get(run.method, ()), run.seed))
    with products.making(made, "tables") as folder:
        write_tables(made, folder)
    return list(answer.answers(made, answer.table(made)))


def _share(scores, seed):
    return scores[seed] / 100 if seed < len(scores) else None


pytestmark = pytest.mark.usefixtures("elsewhere")


def test_a_difference_that_is_decided_is_called_so_with_its_interval():
    """Differences of 9, 10 and 11 points: mean 10, deviation 1, so 10 ± 4.303 / 3 ** 0.5 = 7.52 to 12.48; the t test's
    p is 2 * P(t > 17.32) = 0.0033, times two comparisons of three: all pairs of the others differ by the same."""
    scores = {"baseline": [50, 51, 52], "das": [59, 61, 63], "random": [40, 41, 42], "baseline_tta": [50, 51, 52]}
    (said,) = answered(study(), scores)
    assert said.place == "Few images, ResNet-8"
    assert said.headline.startswith(
        "“DAS” has the highest mean test accuracy, 61.00 ± 4.97 % (3 seeds): +10.00 percent"
    )
    assert said.headline.endswith("against the reference, “Single frame”. The difference is decided.")
    assert said.sentences[0].startswith(
        "The 95 % interval of the difference, paired by seed, is +7.52 to +12.48; p = 0.007"
    )
    assert "It is the best of 3, picked after looking" in said.sentences[1]
    assert "Of 3 methods, decidedly better: “DAS”." in said.sentences


def test_a_difference_that_chance_may_have_made_is_not_decided():
    scores = {"baseline": [50, 51, 52], "das": [50, 53, 55], "random": [50, 49, 52], "baseline_tta": [50, 51, 52]}
    (said,) = answered(study(), scores)
    assert "“DAS” has the highest mean" in said.headline
    assert "+1.67 percentage points" in said.headline
    assert said.headline.endswith("The difference is not decided.")
    assert "Of 3 methods none differs decidedly from the reference." in said.sentences


def test_a_reference_that_nothing_beats_is_the_answer():
    scores = {"baseline": [60, 61, 62], "das": [50, 53, 55], "random": [50, 49, 52], "baseline_tta": [40, 41, 42]}
    (said,) = answered(study(), scores)
    assert said.headline.startswith(
        "No method has a higher mean test accuracy than the reference, “Single frame”: 61.00"
    )
    assert "The next is “DAS”, -8.33 percentage points." in said.headline
    assert not any("flatters" in sentence for sentence in said.sentences)


def test_one_seed_tells_nothing_from_chance():
    (said,) = answered(study(study=study().study.model_dump() | {"seeds": [0]}), {"baseline": [50], "das": [60]})
    assert "60.00 % (one seed)" in said.headline
    assert "it takes a second seed" in said.sentences[0]
    assert said.headline.endswith("The difference is not decided.")
    assert "Not run: “Random policy”, “Single frame, DAS's frames at test time only”." in said.sentences


def test_one_method_has_nothing_to_be_compared_with():
    made = study(study=study().study.model_dump() | {"methods": ["baseline"]})
    (said,) = answered(made, {"baseline": [50, 51, 52]})
    assert said.headline == "Only the reference, “Single frame”, was run: 51.00 ± 2.48 % (3 seeds)."
    assert answer.question(made) == "How well does “Single frame” do?"


def test_without_the_reference_no_difference_is_known():
    (said,) = answered(study(), {"das": [50, 51, 52]})
    assert said.headline.endswith("The reference was not run, so no difference is known.")


def test_what_was_not_run_is_said():
    (said,) = answered(study(), {})
    assert said.headline == "Nothing of this was run yet."
    assert said.sentences == ["4 methods with 3 seeds each are planned."]
    (said,) = answered(study(), {"baseline": [50, 51], "das": [52, 53]})
    assert any("Run in part: “Single frame” (2 of 3 seeds)" in sentence for sentence in said.sentences)


def test_costs_are_those_of_the_records():
    """Of every record: 10 s, 0.5 s of which a test; DAS needs a search beside its training."""
    scores = {"baseline": [50, 51, 52], "das": [59, 61, 63]}
    (said,) = answered(study(), scores)
    (cost,) = [sentence for sentence in said.sentences if sentence.startswith("A run of")]
    assert "“DAS” took 10 s of search, 10 s of training and 0.5 s of a test on the device: 2 times the seconds" in cost


def test_a_study_without_tables_has_no_rows():
    assert answer.table(study()) is None


@pytest.mark.parametrize(
    ("methods", "asked"),
    [
        (["baseline", "das"], "Does “DAS” do better than “Single frame”?"),
        (["baseline", "das", "random"], "Which of 3 methods does best, and does any do better than “Single frame”?"),
    ],
)
def test_the_grid_asks_where_the_study_does_not(methods, asked):
    grid = study().study.model_dump()
    assert answer.question(study(study=grid | {"methods": methods})) == asked
    assert answer.question(study(study=grid | {"question": "Is it good?"})) == "Is it good?"


def test_every_number_in_words_stands_in_the_table():
    scores = {"baseline": [50, 51, 53], "das": [59, 61, 63]}
    made = study()
    (said,) = answered(made, scores)
    row = answer.table(made).set_index("name").loc["das"]
    for name in ("accuracy", "accuracy_ci95", "difference"):
        assert f"{row[name]:.2f}" in said.headline
    low, high = re.search(r"is ([+-][\d.]+) to ([+-][\d.]+)", said.sentences[0]).groups()
    assert (float(high) - float(low)) / 2 == pytest.approx(row.difference_ci95, abs=0.01)
