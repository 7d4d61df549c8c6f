"""Numbers evaluated again and made again, beside what is there, of which nothing is touched (docs/verify.md).

What is made again is made below results/work in a project of its own: the same study and data, no results. Interrupted,
it continues where it stopped.
"""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from das import data
from das.engine.device import prepare
from das.engine.evaluate import evaluate, evaluate_run, trusted
from das.engine.provenance import Meter
from das.engine.train import train
from das.engine.tune import tune
from das.errors import DasError
from das.files import read_json
from das.seals import read_sealed
from das.search.make import control_policy, search_policy
from das.study import code, results, verify
from das.study.runs import RESULTS, EvaluationRun, MethodRun, PolicyRun, Run, SearchRun, TrainingRun, TuningRun, digest
from das.study.schema import Study
from das.study.sources import sha256
from das.video.policy import Policy

#: How far a number may be from one that other kernels made: docs/verify.md says from what measurements.
LOSS_TOLERANCE = 0.005  # relative, of the training loss of the first epoch
SCORE_TOLERANCE = 0.03  # absolute, of the score after the last epoch, which is in [0, 1]


@dataclass(frozen=True)
class Outcome:
    """Of a run that was evaluated or made again: its ``tier``, None where it is not what is stored; ``said``, what was
    found, in words; ``seconds`` that it took."""

    run: Run
    tier: str | None
    said: str
    seconds: float


def again(study: Study, runs: Iterable[Run]) -> Iterator[Outcome]:
    """Evaluate the stored weights of every number among ``runs``: each score, and the loss, must be the same to the
    digit."""
    for run in runs:
        if isinstance(run, MethodRun):
            start = time.perf_counter()
            tier, said = _evaluated(study, run)
            yield _remembered(study, Outcome(run, tier, said, time.perf_counter() - start))


def remake(study: Study, runs: Iterable[Run]) -> Iterator[Outcome]:
    """Repeat search and training of ``runs`` and of what they read, and compare the bytes with the stored ones; where
    another processor, other packages or other code make it, the numbers, within the tolerances.

    What is not the same stays in a folder, which is named, to be looked at.
    """
    folder, differ = _project(RESULTS / "work" / "remade" / _name(study)), False
    aside = folder.with_name(f"{folder.name}.differs")
    for run in runs:
        start = time.perf_counter()
        with chdir(folder), redirect_stdout(sys.stderr):
            for each in [*verify.needed(run), run]:
                if not results.take(each):
                    _make(study, each)
        tier, said = _compared(run, folder)
        if tier != verify.REMADE_HERE:
            differ, said = True, f"{said}; see {aside}"
        yield _remembered(study, Outcome(run, tier, said, time.perf_counter() - start))
    shutil.rmtree(aside, ignore_errors=True)
    if differ:
        folder.rename(aside)
    else:
        shutil.rmtree(folder)


def _evaluated(study: Study, run: MethodRun) -> tuple[str | None, str]:
    for path in (*run.files.values(), *run.read_files.values()):
        if not path.exists():
            return None, f"cannot be evaluated: {path} is not here (`das restore`, or --remake)"
    try:
        scores = _scores(study, run)
    except DasError as error:
        return None, f"cannot be evaluated: {error}"
    stored = read_json(run.number)["last"]
    for name, value in stored.items():
        if name != "epoch" and scores.get(name) != value:
            return None, f"its weights give {name} {_text(scores.get(name))}, stored is {_text(value)}"
    metric = read_json(run.number)["metric"]
    return verify.EVALUATED, f"its weights give {metric} {scores[metric]:.4f}, as stored"


def _scores(study: Study, run: MethodRun) -> dict[str, Any]:
    """The scores of the stored weights on the test set, now."""
    images = data.of_study(study, run.dataset, run.seed)
    if isinstance(run, TrainingRun):
        device = prepare(run.compute)
        return evaluate(trusted(run).to(device), images.test, run.compute, batch_size=4 * run.recipe.batch_size)
    folder = _project(RESULTS / "work" / "evaluated" / _name(study))
    try:
        for other in verify.needed(run):
            for path in (*other.files.values(), other.record):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).symlink_to(path.resolve())
        with chdir(folder), redirect_stdout(sys.stderr):
            _make(study, run)
        return read_json(folder / run.main)["last"]
    finally:
        shutil.rmtree(folder)


def _make(study: Study, run: Run) -> None:
    """What `das search`, `train`, `evaluate` and `tune` do."""
    if isinstance(run, PolicyRun) and not isinstance(run, SearchRun):
        return control_policy(run)
    images = data.of_study(study, run.dataset, run.seed)
    match run:
        case SearchRun():
            search_policy(run, images)
        case TrainingRun():
            train(run, images, _policy(run))
        case EvaluationRun():
            evaluate_run(run, images, _policy(run))
        case TuningRun():
            tune(run, images, _policy(run.trial))


def _policy(run: MethodRun) -> Policy | None:
    return Policy.load(run.made_by.main) if run.made_by else None


def _project(folder: Path) -> Path:
    """Make ``folder`` one in which the study finds all that it finds here, but no results."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in Path().iterdir():
        if path.name != RESULTS.name and not path.name.startswith(".") and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path.resolve())
    return folder


def _name(study: Study) -> str:
    """Of a folder for what this study gives by the present code and packages."""
    kinds = ("search", "policy", "training", "evaluation", "tuning")
    return f"{study.name}-{digest([study.model_dump(), [code.fingerprint(kind) for kind in kinds]])}"


def _compared(run: Run, folder: Path) -> tuple[str | None, str]:
    """The tier of what was made in ``folder``, and what was found."""
    stored, made = read_sealed(run.record), read_sealed(folder / run.record)
    other = [role for role in run.files if sha256(folder / run.files[role]) != stored["files"].get(role)]
    if not other:
        return verify.REMADE_HERE, "the same bytes"
    differ, near = _difference(run, folder)
    elsewhere = [name for name in ("machine", "packages", "code") if _part(stored, name) != _part(made, name)]
    if not elsewhere:
        return (
            None,
            f"other bytes ({', '.join(other)}) by the same processor, packages and code; {differ}",
        )
    by = f"by another {' and '.join(elsewhere)}"
    if not near:
        return None, f"not within the tolerances, {by}; {differ}"
    return verify.REMADE_ELSEWHERE, f"{differ}, {by}"


def _part(record: Mapping[str, Any], name: str) -> Any:
    """What of a run record can change bits: the processor, the packages' versions, the code."""
    return record.get("machine", {}).get("device") if name == "machine" else record.get(name)


def _difference(run: Run, folder: Path) -> tuple[str, bool]:
    """In what the two differ, in words, and whether it is within the tolerances."""
    if not isinstance(run, MethodRun):
        same = sha256(run.main) == sha256(folder / run.main)
        return f"{run.main.name} is {'the same' if same else 'another'}", same
    old, new = read_json(run.number), read_json(folder / run.number)
    if old["digests"]["policy"] != new["digests"]["policy"]:
        return "the policy is another", False
    score = abs(new["last"][old["metric"]] - old["last"][old["metric"]])
    said, near = f"{old['metric']} differs by {score:.4f}", score <= SCORE_TOLERANCE
    if losses := old["curves"].get("train_loss"):
        loss = abs(new["curves"]["train_loss"][0] / losses[0] - 1)
        said, near = f"{said}, the first epoch's loss by {loss:.1e} of itself", near and loss <= LOSS_TOLERANCE
    return said, near


def _remembered(study: Study, outcome: Outcome) -> Outcome:
    if outcome.tier:
        here = Meter(prepare(study.compute)).record()
        facts = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "found": outcome.said,
            "seconds": round(outcome.seconds, 3),
            "machine": here["machine"],
            "packages": here["packages"],
        }
        verify.remember(outcome.run, outcome.tier, facts)
    return outcome


def _text(value: Any) -> str:
    return str(value)[:60]
