"""Tables and figures vouch for themselves as results do: a sealed record says what they were made from."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from das.errors import DasError
from das.files import publish
from das.seals import read_sealed, sealed
from das.study import published, registry
from das.study.results import card_path, everything
from das.study.runs import RESULTS, Run, SearchRun, TrainingRun, digest, of_study, searches_of
from das.study.schema import Study
from das.study.sources import Look

RESULTS_OF_METHODS = ("search", "policy", "training", "evaluation")

#: What makes them: the folder below results/, the names of the files that it writes there, and the kinds of run whose
#: files it reads.
MADE = {
    "tables": ("tables", ("*.csv", "*.md", "*.tex"), RESULTS_OF_METHODS),
    "figures": (
        "figures",
        ("overview.*", "accuracy.*", "compute.*", "curves.*", "alpha.*", "tournaments.*", "film_strip_*"),
        RESULTS_OF_METHODS,
    ),
    "receptive_fields": ("figures", ("receptive_field_*",), ("search",)),
    "summary": ("summary", ("metrics/**/*.json", "*.csv"), RESULTS_OF_METHODS),
}


def shown_networks(study: Study) -> list[TrainingRun]:
    """The trainings whose networks receptive fields show, beside untrained ones: with the first seed. None of a dense
    task, whose networks are cut and dilated."""
    if registry.lookup("task", study.task).facts["dense"]:
        return []
    return [run for run in of_study(study) if isinstance(run, TrainingRun) and run.seed == study.study.seeds[0]]


def _read_by(study: Study, kind: str) -> list[Run]:
    """The runs whose files tables, figures or receptive fields read."""
    shown = shown_networks(study) if kind == "receptive_fields" else []
    return [*(run for run in everything(study) if run.kind in MADE[kind][2]), *shown]


def tables_of(study: Study) -> list[str]:
    """The names of the study's tables: its task's, `published` only where something is; IoU by class of a dense task;
    and what planted nuisances ask for."""
    facts = registry.lookup("task", study.task).facts
    tables = [name for name in facts["tables"] if name != "published" or _has_published(study)]
    planted = any(study.datasets[name].planted for name in study.study.datasets)
    return [*tables, *(["class_iou"] if facts["dense"] else []), *(["planted"] if planted else [])]


def _has_published(study: Study) -> bool:
    try:
        return bool(published.of_study(study))
    except DasError:  # the table's own job says what is wrong with the files
        return True


def figures_of(study: Study) -> list[str]:
    """The names of the study's figures but receptive fields and predictions: what was found in one look, scores, costs,
    the course of trainings; the searches that read alpha, the tournaments; and a film strip of each policy."""
    rules = {run.search.selection for run in searches_of(study) if isinstance(run, SearchRun)}
    shown = {registry.lookup("selection", rule).facts.get("figure", "alpha") for rule in rules}
    return [
        *("overview", "accuracy", "compute", "curves"),
        *sorted(shown),
        *(f"film_strip_{run.dataset}_{run.backbone}_{run.name}_seed{run.seed}" for run in searches_of(study)),
    ]


def summary_of(study: Study) -> list[str]:
    """The files of the study's summary (das.analysis.summary)."""
    grid = study.study
    metrics = itertools.product(grid.datasets, grid.backbones, grid.methods)
    return ["scores.csv", "losses.csv", "alpha.csv", *(f"metrics/{'/'.join(names)}.json" for names in metrics)]


def record_path(study: Study, kind: str) -> Path:
    """The record of the study's tables, figures or receptive fields."""
    return RESULTS / MADE[kind][0] / study.name / f"{kind}.made_from.json"


@contextmanager
def making(study: Study, kind: str) -> Iterator[Path]:
    """Yield the folder to write into; what is there afterwards is recorded with what it was made from."""
    path = record_path(study, kind)
    with Look(RESULTS / study.name) as look:
        made_from = _state(study, kind, look)
        yield path.parent
        publish(path, sealed({"made_from": made_from, "files": _hashes(kind, path.parent, look)}))


def stale(study: Study) -> dict[Path, str]:
    """{record: why} of the tables and figures that are there and are not what the study's results make now."""
    found = {}
    with Look(RESULTS / study.name) as look:
        for path, kind in ((record_path(study, kind), kind) for kind in MADE):
            if path.exists() and (why := _fault(study, kind, path, look)):
                found[path] = why
    return found


def _fault(study: Study, kind: str, path: Path, look: Look) -> str | None:
    try:
        record = read_sealed(path)
    except DasError as error:
        return str(error)
    if record.get("made_from") != _state(study, kind, look):
        return f"the {kind.replace('_', ' ')} {'was' if kind == 'summary' else 'were'} made from other results"
    now = _hashes(kind, path.parent, look)
    for name, content in record.get("files", {}).items():
        if name in now and now[name] != content:
            return f"{path.parent / name} is not the file that was made (edited, damaged or exchanged)"
    return None


def _state(study: Study, kind: str, look: Look) -> str:
    """A hash of the study and of all that its tables, figures or receptive fields can read."""
    runs = _read_by(study, kind)  # the record of a training says which network is its own
    files = [
        path for run in runs for role, path in (*run.files.items(), ("record", run.record)) if role != "checkpoint"
    ]
    for dataset in study.study.datasets:
        files += [card_path(study, dataset, seed) for seed in range(study.datasets[dataset].splits or 1)]
    files += [Path(path) for path in registry.lookup("task", study.task).facts.get("published", [])]
    contents = {str(path): look.hash(path) if path.is_file() else None for path in files}
    return digest([study.model_dump(), contents], full=True)


def files_of(kind: str, folder: Path) -> list[str]:
    """The files of a kind in ``folder``, named as they lie below it."""
    return [path.relative_to(folder).as_posix() for pattern in MADE[kind][1] for path in sorted(folder.glob(pattern))]


def _hashes(kind: str, folder: Path, look: Look) -> dict[str, str]:
    return {name: look.hash(folder / name) for name in files_of(kind, folder)}
