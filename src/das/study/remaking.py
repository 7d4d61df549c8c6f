"""What of a study is stale, by which input, and what making it again would cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from das.errors import DasError
from das.seals import read_sealed
from das.study import products, results
from das.study.runs import Run
from das.study.schema import Study


@dataclass(frozen=True)
class Stale:
    """A result that cannot stand: ``why`` names the input; ``seconds`` it took when it was made, or the mean of its
    method's other seeds where that is not known; 0 for tables and figures, None where nothing is known."""

    path: Path
    why: str
    seconds: float | None


def stale(study: Study) -> list[Stale]:
    """Every result, card, table and figure of the study that is there and cannot stand, in the order of making."""
    runs = list(results.everything(study))
    by_main = {run.main: run for run in runs}
    unfit = results.audit(study) | products.stale(study)
    return [
        Stale(path, why, _cost(by_main[path], runs) if path in by_main else 0.0) for path, why in unfit.items()
    ]  # fmt: skip


def _cost(run: Run, runs: Iterable[Run]) -> float | None:
    if (own := _took(run)) is not None:
        return own
    alike = (other for other in runs if (other.kind, other.main.parent) == (run.kind, run.main.parent))
    known = [seconds for other in alike if (seconds := _took(other)) is not None]
    return mean(known) if known else None


def _took(run: Run) -> float | None:
    """Wall seconds of the run when it was made."""
    try:
        return float(read_sealed(run.record).get("cost", {"wall_s": 0.0})["wall_s"])
    except (DasError, KeyError, TypeError, ValueError):
        return None
