"""The study's results as data frames, read from what the workflow made. What was not run, or cannot stand, is there and
says so."""

from statistics import median

import pandas as pd

from das.files import read_json
from das.seals import read_sealed
from das.study import recorded
from das.study.results import fault
from das.study.runs import RESULTS, MethodRun, Run, of_study, searches_of
from das.study.schema import Study
from das.study.sources import Look

LAST = 10  # tests whose median is shown beside the last one
SCORES = ("balanced_accuracy", "calibration_error")
MEASURES = (
    *("accuracy", "best_accuracy", "median_accuracy", "late_change", *SCORES),
    *("split", "epochs", "frames", "train_frames"),
)
COSTS = ("search_s", "train_s", "test_s", "code", "recorded", "fault")


def numbers(study: Study) -> pd.DataFrame:
    """One row per run of the study's grid, in its order; `made` is False and values are NaN where it was not run.

    Columns: dataset, backbone, method, seed, made; accuracy (last epoch), best_accuracy, median_accuracy (last ten
    tests), late_change (what the last quarter of the epochs added), balanced_accuracy and calibration_error (last
    epoch; of classification); split (of the data set; None where it has none); epochs (of training), frames,
    train_frames; seconds on the device, NaN without a run record: search_s (of the policy, or of an augmentation),
    train_s (of the weights, tests included), test_s (of one pass over the test set); code (fingerprint of the code that
    made it); recorded (whether it was put back from recorded results); fault (why what is there cannot stand for the
    run, and is taken for not made; None else).
    """
    with Look(RESULTS / study.name) as look:
        return pd.DataFrame([_row(run, look) for run in of_study(study)])


def _late_change(curves: dict, metric: str) -> float | None:
    """What the last quarter of a training added to its score; None where nothing was tested before it."""
    epochs, scores = curves["test_epoch"], curves[f"test_{metric}"]
    before = [score for epoch, score in zip(epochs, scores, strict=True) if epoch <= 0.75 * epochs[-1]]
    return scores[-1] - before[-1] if before else None


def standing(run: Run, look: Look | None = None) -> tuple[bool, str | None]:
    """Whether the run's main file is there and can stand for it, and why not where it is there."""
    if not run.main.exists():
        return False, None
    why = fault(run, look)
    return why is None, why


def _row(run: MethodRun, look: Look) -> dict:
    made, why = standing(run, look)
    row = run.identity | {"made": made, "fault": why, "split": run.data.options.get("split")}
    if made:
        content = read_json(run.number)
        metric = content["metric"]
        row |= {
            "accuracy": content["last"][metric],
            "best_accuracy": content["best"][metric],
            "median_accuracy": median(content["curves"][f"test_{metric}"][-LAST:]),
            "late_change": _late_change(content["curves"], metric),
            **{score: content["last"].get(score) for score in SCORES},
            "epochs": content["last"]["epoch"],
            "frames": content["cost"]["frames"],
            "train_frames": content["cost"]["train_frames"] or _frames_of_members(run),
            "code": (record := read_sealed(run.record))["code"],
            "recorded": recorded.MARK in record,
        } | _costs(run, look)
    return {column: None for column in MEASURES + COSTS} | row


def _costs(run: MethodRun, look: Look) -> dict[str, float]:
    """Device seconds of what a run needs: its policy's search, its weights' training, its test."""
    own = read_sealed(run.record)
    read = [run, *(other for other in run.reads.values() if isinstance(other, MethodRun))]
    trainings = [own] if run.trained is run else [_record(other, look) for other in read[1:]]
    policies = {other.made_by.main: other.made_by for other in read if other.made_by and other.made_by.searches}
    of_policies = sum(_seconds(_record(made_by, look)) for made_by in policies.values())
    of_augmentation = sum(search["device_s"] for made in trainings for search in made.get("augmentation_search", []))
    return {
        "search_s": of_policies + of_augmentation,
        "train_s": sum(map(_seconds, trainings)) - of_augmentation,
        "test_s": own["cost"].get("test_device_s", own["cost"]["device_s"]),
    }


def _frames_of_members(run: MethodRun) -> int:
    """Frames that an ensemble's members were trained on; 0 for a test of weights that another row accounts for."""
    if not run.how.ensemble_of:
        return 0
    members = [other for other in run.reads.values() if isinstance(other, MethodRun)]
    return sum(read_json(member.number)["cost"]["train_frames"] for member in members if member.number.exists())


def _record(run: Run, look: Look) -> dict:
    """The record of a run that another one reads; nothing where it is not here or not this run's."""
    return read_sealed(run.record) if run.record.exists() and fault(run, look) is None else {}


def _seconds(record: dict) -> float:
    return record["cost"]["device_s"] if record else float("nan")


def trainings(study: Study) -> list[dict]:
    """One entry per training of the study's grid that was made and can stand, in its order: dataset, backbone, method,
    seed, and curves: `train_loss` by epoch, `test_loss` and `test_score` by `test_epoch`."""
    found = []
    for run in of_study(study):
        if run.trained is run and standing(run)[0]:
            content = read_json(run.number)
            curves = {key: content["curves"][key] for key in ("train_loss", "test_epoch", "test_loss")}
            curves["test_score"] = content["curves"][f"test_{content['metric']}"]
            found.append(run.identity | {"curves": curves})
    return found


def augmentation_searches(study: Study) -> list[dict]:
    """One entry per search of an augmentation that was part of a run's method (das.engine.augmentation_search).

    Keys: dataset, backbone, method, seed, device (its name), and what the search left in the run record: device_s,
    wall_s, space_size, chosen.
    """
    found = []
    for run in of_study(study):
        if standing(run)[0]:
            record = read_sealed(run.record)
            for search in record.get("augmentation_search", []):
                found.append(run.identity | {"device": record["machine"]["device"]} | search)
    return found


def searches(study: Study) -> list[dict]:
    """One entry per searched policy and seed of the study's grid that was made and can stand, in its order.

    Keys: dataset, backbone, policy, seed, path, history (das.search.bilevel), run (the run record).
    """
    found = []
    for run in searches_of(study):
        if standing(run)[0] and run.files["history"].exists():
            own = {"path": run.main, "history": read_json(run.files["history"]), "run": read_sealed(run.record)}
            found.append(run.identity | own)
    return found


def missing_searches(study: Study) -> list[dict]:
    """The searches of the study's grid that `searches` lacks: dataset, backbone, policy, seed, and why."""
    found = []
    for run in searches_of(study):
        made, why = standing(run)
        if not made or not run.files["history"].exists():
            found.append(run.identity | {"why": f"not used: {why}" if why else "not run"})
    return found
