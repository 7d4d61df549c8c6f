"""What each result of a study rests on: hashes traced in milliseconds, and the tier of evidence (docs/verify.md).

Evaluating and making again, which need torch, are in das.verification; what they found is remembered here, beside the
results, for as long as the run record that it was found for stays what it is.
"""

import platform
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from das.errors import DasError
from das.files import publish
from das.seals import read_sealed, sealed
from das.study import code, products, recorded, results
from das.study.runs import RESULTS, MethodRun, Run
from das.study.schema import Study
from das.study.sources import Look, sha256

#: From little to much evidence.
RECORDED, RESTORED, EVALUATED, REMADE_ELSEWHERE, REMADE_HERE = TIERS = (
    "recorded",  # the number is what was made; its weights are not here
    "restored",  # all files are here, byte for byte as they were made
    "evaluated again",  # the weights give the same scores, to the digit
    "remade elsewhere",  # search and training by another processor, packages or code agree within the tolerance
    "remade here",  # search and training give the same bytes
)
VERIFIED = RESULTS / "verified"


@dataclass(frozen=True)
class Traced:
    """What the files say of one result: its ``tier``, None where ``fault`` says why it has none; ``notes`` on code and
    packages that are not the present ones, which is no fault."""

    path: Path
    tier: str | None = None
    fault: str | None = None
    notes: tuple[str, ...] = ()


def trace(study: Study, wanted: Sequence[Path] = ()) -> list[Traced]:
    """Every result of the study, each after those it reads, or those among ``wanted`` (files, or folders of them) with
    what they read; of the whole study also the cards, tables and figures that are at fault. Nothing is changed.

    Hashes are of settings, data, policies, weights and the files themselves (`das.study.results.fault`). Raises
    DasError where ``wanted`` names nothing of the study.
    """
    found, seen = [], set()
    with Look(RESULTS / study.name) as look:
        for run in chosen(study, wanted):
            for other in [*needed(run), run]:
                if other.main not in seen:
                    seen.add(other.main)
                    found += _trace(other, look)
        if not wanted:
            for path, data in results.cards(study).items():
                if path.exists() and (why := results.card_fault(path, data, look)):
                    found.append(_at_fault(path, why))
            found += [_at_fault(path, why) for path, why in products.stale(study).items()]
    return found


def chosen(study: Study, wanted: Sequence[Path]) -> list[Run]:
    """The runs whose main files are among ``wanted``, by default all of the study. Raises DasError for none."""
    runs = list(results.everything(study))
    if not wanted:
        return runs
    found = [run for run in runs if any(run.main == place or place in run.main.parents for place in wanted)]
    if not found:
        named = ", ".join(map(str, wanted))
        raise DasError(f"{named}: is no result of the study {study.name}; name the study's files with --study")
    return found


def by_chance(study: Study, wanted: Sequence[Path] = ()) -> Path:
    """One of the study's numbers that are here (among ``wanted``), each as likely. Raises DasError where none is."""
    here = [run.main for run in chosen(study, wanted) if isinstance(run, MethodRun) and run.main.exists()]
    if not here:
        raise DasError(f"the study {study.name}: has no number here to choose from")
    return random.choice(here)


def needed(run: Run) -> list[Run]:
    """The runs that ``run`` reads, and those that they read, each after its own."""
    found: dict[Path, Run] = {}
    for other in run.reads.values():
        found |= {each.main: each for each in [*needed(other), other]}
    return list(found.values())


def remember(run: Run, tier: str, facts: Mapping[str, Any]) -> None:
    """Note beside the results that the run was found to have ``tier``; ``facts`` say when, where and how well."""
    known = _remembered(run)
    publish(_memory(run), sealed({"record": sha256(run.record), "tiers": {**known, tier: dict(facts)}}))


def _trace(run: Run, look: Look) -> list[Traced]:
    if not run.main.exists():
        return [_at_fault(run.main, "is not here")]
    if why := results.fault(run, look) or results.missing(run):
        return [_at_fault(run.main, why)]
    record = read_sealed(run.record)
    whole = all(path.exists() for path in (*run.files.values(), *run.read_files.values()))
    tiers = [RESTORED if whole and recorded.MARK not in record else RECORDED, *_remembered(run)]
    return [Traced(run.main, max(tiers, key=TIERS.index), notes=tuple(_notes(run, record)))]


def _notes(run: Run, record: Mapping[str, Any]) -> Iterator[str]:
    others = {name: made for name, made in record.get("packages", {}).items() if made != code.version_of(name)}
    for name, made in others.items():
        yield f"by {name} {made}, here is {code.version_of(name)}"
    if not others and record["code"] != code.fingerprint(run.kind):
        yield "by other code"
    platform_made = record.get("machine", {}).get("platform", "")
    if platform_made and not (platform.system() in platform_made and platform.machine() in platform_made):
        yield f"on {platform_made}"


def _at_fault(path: Path, why: str) -> Traced:
    return Traced(path, fault=why)


def _memory(run: Run) -> Path:
    return VERIFIED / run.study / f"{run.place}.json"


def _remembered(run: Run) -> dict[str, Any]:
    """{tier: facts} that were found for the run as it is."""
    try:
        content = read_sealed(_memory(run))
        return dict(content["tiers"]) if content["record"] == sha256(run.record) else {}
    except (DasError, KeyError, TypeError, ValueError):  # none, or damaged: nothing is known
        return {}
