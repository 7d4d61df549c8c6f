"""The reproducibility checklist: what conferences ask of a study, answered from its settings and records.

The questions are those of the Machine Learning Reproducibility Checklist (Pineau et al. 2021, JMLR 22(164)) and of
NeurIPS's paper checklist, in our words. What neither settings nor records tell is `not answered`, for people to answer.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from das.errors import DasError
from das.report.tables import Table
from das.seals import read_sealed
from das.study import recorded, results, tuning, verify
from das.study.runs import MethodRun, SearchRun, TrainingRun, of_study
from das.study.schema import Dataset, Study
from das.study.sources import fetched
from das.study.verify import RECORDED, RESTORED, TIERS, Traced

YES, NO, PART, OPEN = "yes", "no", "in part", "not answered"
HOUR, MIB = 3600, 2**20


@dataclass(frozen=True)
class Item:
    """A question, its answer (YES, NO, PART or OPEN), and ``why``: what it rests on, or what is missing."""

    about: str
    question: str
    answer: str
    why: str


def answers(study: Study, traced: Sequence[Traced]) -> list[Item]:
    """The checklist of the study, of which ``traced`` says what its results rest on (`das.study.verify.trace`)."""
    known = _Known(study, traced)
    parts = {
        "Question": _question,
        "Data": _data,
        "Settings": _settings,
        "Runs": _runs,
        "Compute": _compute,
        "Code": _code,
        "Consequences": _consequences,
    }
    return [Item(about, *item) for about, part in parts.items() for item in part(known)]


def table(study: Study) -> Table:
    """The checklist as a table of the page."""
    items = answers(study, verify.trace(study))
    caption = (
        "What conferences ask, answered from settings and run records. Nothing is assumed: what they do not tell is "
    )
    rows = [[item.about, item.question, item.answer, item.why] for item in items]
    return Table(
        "checklist", "Reproducibility checklist", f"{caption}“{OPEN}”.", ["About", "Question", "Answer", "Why"], rows
    )


def markdown(study: Study, traced: Sequence[Traced]) -> str:
    """The checklist as a page of Markdown."""
    lines = [f"# Reproducibility checklist of the study {study.name}", ""]
    items = answers(study, traced)
    for about in dict.fromkeys(item.about for item in items):
        lines += [f"## {about}", ""]
        lines += [f"- {item.question} **{item.answer}**: {item.why}" for item in items if item.about == about] + [""]
    return "\n".join(lines)


def terms_of(data: Dataset) -> Path | None:
    """The file of the repository with the terms of an embedded data set; None of any other."""
    folder = Path(str(data.entry.facts.get("root")))
    path = folder.parent / f"LICENSE.{folder.name.replace('_', '-')}"
    return path if data.root is None and path.is_file() else None


class _Known:
    """What settings and records say of a study."""

    def __init__(self, study: Study, traced: Sequence[Traced]):
        self.study = study
        self.tiers = {result.path: str(result.tier) for result in traced if not result.fault}
        self.runs = [run for run in results.everything(study) if run.main in self.tiers]
        self.records = [read_sealed(run.record) for run in self.runs if run.kind != "policy"]  # which costs nothing
        self.grid = of_study(study)
        self.made = [run for run in self.grid if run.main in self.tiers]

    def seeds(self, method: str) -> Iterator[tuple[MethodRun, set[int]]]:
        """The seeds of a method that were made, for each data set and backbone, with one of its runs."""
        places = {(run.dataset, run.backbone): run for run in self.grid if run.method == method}
        for place, one in places.items():
            same = (run for run in self.made if (run.dataset, run.backbone, run.method) == (*place, method))
            yield one, {run.seed for run in same}


Answers = Iterator[tuple[str, str, str]]


def _question(known: _Known) -> Answers:
    grid = known.study.study
    named = "; ".join(known.study.methods[name].title for name in grid.methods)
    asked = (YES, grid.question) if grid.question else (PART, f"only by what is compared: {named}")
    yield "Is the question stated?", *asked
    yield "What is the comparison made against?", YES, known.study.methods[grid.reference].title
    yield "Are limits stated, and what the results do not show?", OPEN, "a study's files have no place for it"


def _data(known: _Known) -> Answers:
    for name in known.study.study.datasets:
        data = known.study.datasets[name]
        yield f"{data.title}: how many images, of which classes?", *_card(known.study, name)
        yield f"{data.title}: what was done to the images?", YES, _treatment(known.study, data)
        yield f"{data.title}: can others get it?", *_available(data)
        terms = terms_of(data)
        told = (YES, terms.as_posix()) if terms else (OPEN, "no file of the repository has its terms")
        yield f"{data.title}: under which terms?", *told
        yield f"{data.title}: how were images and labels collected, and did people in them agree?", OPEN, "in no record"


def _card(study: Study, name: str) -> tuple[str, str]:
    try:
        card = read_sealed(results.card_path(study, name, study.study.seeds[0]))
    except DasError:
        return OPEN, "its card is not here; `das describe` makes it"
    shape = " x ".join(map(str, card["shape"]))
    return YES, f"{card['images']} training images of {len(card['classes'])} classes, {shape} values each"


def _treatment(study: Study, data: Dataset) -> str:
    options = ", ".join(f"{key} {value}" for key, value in data.options.items())
    named = [next(iter(step)) if isinstance(step, dict) else step for step in data.augment]
    planted = [f"planted: {data.planted.operation}"] if data.planted else []
    used = [f"reader {data.reader}" + (f" ({options})" if options else ""), *planted]
    return "; ".join([*used, f"in training also {', '.join(named)}" if named else "nothing more in training"])


def _available(data: Dataset) -> tuple[str, str]:
    if fetched(data):
        login = ", who asks for a login" if data.entry.facts.get("login") else ""
        return YES, f"from its publisher{login}: `das fetch` names or downloads the files and compares checksums"
    if data.root is None and data.entry.facts.get("root"):
        return YES, f"it is in the repository, {data.folder}"
    return OPEN, "its files are the study's own"


def _settings(known: _Known) -> Answers:
    study = known.study
    yield "Are all hyperparameters stated?", YES, "the settings of the study, resolved; each number holds its own"
    yield "How were they chosen, and from what?", *_chosen(known)
    recipes = [study.recipes[study.datasets[name].recipe] for name in study.study.datasets]
    halves = ["Policies are searched on halves of the training images."] * any(
        isinstance(run.made_by, SearchRun) for run in known.grid
    )
    shares = sorted({recipe.validation for recipe in recipes if recipe.validation is not None})
    epoch = f"held-out shares of {shares} choose the epoch" if shares else "the last epoch counts, whatever tests say"
    why = [*halves, f"In training {epoch}.", "Whether people chose settings by test scores is in no record."]
    yield "Are test images kept out of every choice?", PART, " ".join(why)


def _chosen(known: _Known) -> tuple[str, str]:
    study = known.study
    if study.tuning:
        names = ", ".join(tuning.methods(study))
        done = sum(run.kind == "tuning" for run in known.runs)
        asked = (
            f"{study.tuning.trials} trials a method on {study.tuning.fraction:g} of the training images, for {names}"
        )
        return (YES, asked) if done else (PART, f"{asked}; none of these trials is here")
    tuned = [name for name in study.study.methods if study.methods[name].tuned]
    if tuned:
        return PART, f"tuned: {', '.join(tuned)}; the trials belong to another study"
    return OPEN, "the files state values, not where they come from"


def _runs(known: _Known) -> Answers:
    grid = known.study.study
    found = {name: list(known.seeds(name)) for name in grid.methods}
    counts = [len(seeds) for places in found.values() for _, seeds in places]
    few, most = min(counts), max(counts)
    number = f"{len(known.made)} of {len(known.grid)} runs; {_span(few, most)} of {len(grid.seeds)} seeds a method"
    whole = len(known.made) == len(known.grid)
    yield "How many runs does each number rest on?", YES if whole else PART if known.made else NO, number
    varies = "initial weights, order of images, augmentation and search"
    split = [data.splits for data in map(known.study.datasets.get, grid.datasets) if data and data.splits]
    images = "and the cut of training images" if len(split) == len(grid.datasets) else "on the same training images"
    bars = f"95 % intervals of Student's t over {_span(few, most)} seeds, which vary {varies}, {images}"
    lacks = "one run has no spread" if most else "nothing was run"
    answer = YES if few > 1 else PART if most > 1 else NO
    yield "Are there error bars, and of what?", answer, bars if few > 1 else f"{lacks}; {bars}" if most > 1 else lacks
    yield "Are differences tested, and corrected for their number?", *_tested(known, found)
    metric = "mIoU" if known.study.task == "segmentation" else "accuracy"
    yield "Is it said what is measured?", YES, f"{metric} on the test images after the last epoch, its mean"
    yield "Are runs that failed or were left out told?", OPEN, "records are of what is there"


def _tested(known: _Known, found: dict[str, list[tuple[MethodRun, set[int]]]]) -> tuple[str, str]:
    reference = found[known.study.study.reference]
    pairs = [
        len(seeds & theirs)
        for name, places in found.items()
        if name != known.study.study.reference
        for (_, seeds), (_, theirs) in zip(places, reference, strict=True)
    ]
    test = "paired t test over the seeds that both have, Holm's correction over the table"
    if not pairs:
        return NO, "there is one method"
    answer = YES if min(pairs) > 1 else PART if max(pairs) > 1 else NO
    return (
        answer,
        test if answer == YES else f"{test}; it takes two seeds that both have, and there are {_span(*_ends(pairs))}",
    )


def _compute(known: _Known) -> Answers:
    machines = Counter(record["machine"]["device"] for record in known.records if record.get("machine"))
    named = "; ".join(f"{name} ({count} runs)" for name, count in sorted(machines.items()))
    yield "On which machines?", _share(machines.total(), len(known.records)), named or "in no record"
    costs = [record["cost"] for record in known.records if record.get("cost")]
    hours = {key: sum(cost.get(key, 0) for cost in costs) / HOUR for key in ("device_s", "wall_s")}
    peak = max((cost.get("peak_memory_bytes", 0) for cost in costs), default=0) / MIB
    spent = f"{hours['device_s']:.3g} device hours, {hours['wall_s']:.3g} hours by the clock, at most {peak:,.0f} MiB"
    yield "How much time and memory?", _share(len(costs), len(known.records)), spent if costs else "in no record"
    yield "Is work that led here and was thrown away counted?", OPEN, "records are of what is there"
    yield "How much energy?", OPEN, "it is not measured"


def _code(known: _Known) -> Answers:
    commits = Counter(str(record.get("git_commit")) for record in known.records)
    clean = sum(count for name, count in commits.items() if re.fullmatch("[0-9a-f]+", name))
    named = "; ".join(f"{name} ({count} runs)" for name, count in sorted(commits.items()))
    note = "" if clean == len(known.records) else "; + is a commit with changes, None no commit"
    yield (
        "Which code made the results?",
        _share(clean, len(known.records)),
        named + note if named else "nothing was run",
    )
    packages = {f"{name} {made}" for record in known.records for name, made in record.get("packages", {}).items()}
    lock = Path("uv.lock").is_file()
    fixed = ", ".join(sorted(packages)) + ("; all others in uv.lock" if lock else "")
    yield (
        "Are the versions of packages fixed?",
        YES if packages and lock else PART if packages else OPEN,
        fixed or "in no record",
    )
    yield (
        "Is there a command that makes everything?",
        YES,
        "`snakemake --cores all results/report`, with the study's files",
    )
    terms = (YES, "LICENSE") if Path("LICENSE").is_file() else (OPEN, "there is no LICENSE here")
    yield "Under which terms is the code?", *terms
    trained = [run for run in known.made if isinstance(run, TrainingRun)]
    here = sum(run.checkpoint.is_file() for run in trained)
    yield "Can others get trained weights?", OPEN, f"{here} of {len(trained)} are here; where else is in no record"
    yield "Were results checked by making them again?", *_checked(known)


def _checked(known: _Known) -> tuple[str, str]:
    tiers = Counter(known.tiers[run.main] for run in known.made)
    told = "; ".join(f"{tier}: {tiers[tier]}" for tier in TIERS if tiers[tier])
    again = sum(count for tier, count in tiers.items() if tier not in (RECORDED, RESTORED))
    put_back = sum(recorded.MARK in record for record in known.records)
    from_records = f"; {put_back} runs are put back from records" if put_back else ""
    return _share(again, len(known.made)), (told or "nothing was run") + from_records


def _consequences(known: _Known) -> Answers:
    yield "Whom can the results help or harm, and how is misuse prevented?", OPEN, "in no record"
    yield "Did people take part, and was that reviewed?", OPEN, "in no record"


def _share(some: int, all: int) -> str:
    return NO if not some else YES if some == all else PART


def _span(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _ends(counts: Sequence[int]) -> tuple[int, int]:
    return min(counts), max(counts)
