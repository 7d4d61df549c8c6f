"""The checklist says what settings and records say, and nothing more."""

import json

import pytest
from tests.report.studies import leave, make, number, study

from das.report.checklist import NO, OPEN, PART, YES, answers, markdown
from das.report.page import render
from das.seals import read_sealed, sealed
from das.study import verify
from das.study.runs import MethodRun, of_study
from das.study.schema import Tuning

BARS, TESTED, RUNS = "Are there error bars", "Are differences tested", "How many runs"


def checked(made) -> dict[str, tuple[str, str]]:
    """{question: (answer, why)}."""
    return {item.question: (item.answer, item.why) for item in answers(made, verify.trace(made))}


def said(made, begins: str) -> tuple[str, str]:
    (found,) = [answer for question, answer in checked(made).items() if begins in question]
    return found


def seeds(*numbers: int, **changes):
    return study(study=study().study.model_dump() | {"seeds": list(numbers), "name": "made", **changes})


def all_made(run: MethodRun) -> float:
    return 0.5 + run.seed / 100


@pytest.mark.parametrize(
    ("there", "answer", "told"),
    [((0,), NO, "one run has no spread"), ((0, 1), YES, "over 2 seeds"), ((0, 1, 2), YES, "over 3 seeds")],
)
def test_error_bars_and_tests_take_two_seeds(elsewhere, there, answer, told):
    made = seeds(*there)
    make(made, all_made)
    assert said(made, BARS)[0] == said(made, TESTED)[0] == answer
    assert told in said(made, BARS)[1]
    assert said(made, RUNS) == (
        YES,
        f"{4 * len(there)} of {4 * len(there)} runs; {len(there)} of {len(there)} seeds a method",
    )


def test_what_was_not_run_is_said(elsewhere):
    made = seeds(0, 1)
    assert said(made, RUNS)[0] == said(made, BARS)[0] == said(made, TESTED)[0] == NO
    assert said(made, "On which machines")[0] == said(made, "Which code")[0] == NO
    make(made, lambda run: None if (run.method, run.seed) == ("das", 1) else all_made(run))
    assert said(made, RUNS) == (PART, "7 of 8 runs; 1 to 2 of 2 seeds a method")
    assert said(made, BARS)[0] == said(made, TESTED)[0] == PART


def test_a_number_that_cannot_stand_does_not_count(elsewhere):
    made = seeds(0, 1)
    make(made, all_made)
    one = of_study(made)[0].number
    one.write_text(one.read_text().replace("0.5", "0.9", 1))
    assert said(made, RUNS)[0] == PART


def test_a_single_method_is_compared_with_nothing(elsewhere):
    made = seeds(0, 1, methods=["baseline"])
    make(made, all_made)
    assert said(made, TESTED) == (NO, "there is one method")


def test_compute_is_the_sum_of_the_records_and_code_is_clean_commits_alone(elsewhere):
    made = seeds(0, 1)
    make(made, all_made)
    paths = [path for path in elsewhere.rglob("*.run.json") if "/policies/" not in str(path) or "searched" in str(path)]
    costs = [read_sealed(path)["cost"] for path in paths]
    hours = sum(cost["device_s"] for cost in costs) / 3600
    assert f"{hours:.3g} device hours" in said(made, "How much time")[1]
    assert said(made, "On which machines") == (YES, f"a processor ({len(paths)} runs)")
    for commit, answer in {"0123456789ab": YES, "0123456789ab+": NO}.items():
        for path in paths:
            path.write_text(sealed(read_sealed(path) | {"git_commit": commit}))
        assert said(made, "Which code")[0] == answer
    paths[0].write_text(sealed(read_sealed(paths[0]) | {"git_commit": "0123456789ab"}))
    assert said(made, "Which code")[0] == PART


def test_terms_and_places_of_data_are_known_of_embedded_sets_alone(elsewhere):
    data = study().datasets["fashion_mnist"].model_dump()
    own = seeds(0)
    assert own.datasets["fashion_mnist"].root is not None
    assert said(own, "Few images: can others get it")[0] == said(own, "Few images: under which terms")[0] == OPEN
    embedded = study(datasets={"fashion_mnist": data | {"root": None}})
    assert said(embedded, "can others get it") == (YES, "it is in the repository, data/embedded/fashion_mnist")
    assert said(embedded, "under which terms") == (YES, "data/embedded/LICENSE.fashion-mnist")


def test_how_settings_were_chosen_is_known_where_the_study_tunes_them(elsewhere):
    made = seeds(0)
    assert said(made, "How were they chosen")[0] == OPEN
    tuning = Tuning(trials=5, fraction=0.25, recipe={"lr": [0.05, 0.1]})
    answer, why = said(made.model_copy(update={"tuning": tuning}), "How were they chosen")
    assert answer == PART
    assert why.startswith("5 trials a method on 0.25 of the training images")
    assert why.endswith("none of these trials is here")


def test_what_no_record_tells_is_not_answered_whatever_was_run(elsewhere):
    made = seeds(0, 1, 2)
    make(made, all_made)
    found = checked(made)
    assert {answer for answer, _ in found.values()} <= {YES, NO, PART, OPEN}
    assert all(why for _, why in found.values())
    for begins in ("Are limits", "Whom can", "Did people", "How much energy", "Is work that led here", "Are runs that"):
        assert said(made, begins)[0] == OPEN


def test_weights_that_were_evaluated_again_are_told(elsewhere):
    made = seeds(0)
    make(made, all_made)
    assert said(made, "Were results checked")[0] == NO
    run = of_study(made)[0]
    leave(run, checkpoint="weights", number=json.dumps(number(run, 0.5)))
    verify.remember(run, verify.EVALUATED, {})
    answer, why = said(made, "Were results checked")
    assert answer == PART
    assert "evaluated again: 1" in why


def test_the_page_and_the_markdown_hold_every_question_and_answer(elsewhere):
    made = seeds(0, 1)
    make(made, all_made)
    page, text = render(made, {}), markdown(made, verify.trace(made))
    for question, (answer, why) in checked(made).items():
        assert f"- {question} **{answer}**: {why}" in text.splitlines()
        assert f"<td>{question}</td><td>{answer}</td>".replace("'", "&#39;") in page.replace(' class="long"', "")
