"""What runs leave: published with a record that vouches for it, kept in the store, and checked at every start."""

import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from das.errors import DasError
from das.files import lock
from das.files import publish as write
from das.seals import read_sealed, sealed
from das.store import Store
from das.study import code, registry
from das.study.runs import (
    RESULTS,
    EvaluationRun,
    MethodRun,
    PolicyRun,
    Run,
    data_of,
    digest,
    of_study,
    part,
    tunings_of,
)
from das.study.schema import Dataset, Study
from das.study.sources import MARK, Look, fetched, fingerprint, sha256

WORK = RESULTS / "work"
AFRESH = "DAS_AFRESH"


# -- publishing ------------------------------------------------------------------------------------------------------


def inputs(run: Run) -> dict[str, str]:
    """SHA-256 of everything that a run reads, by role: the data set's files, a policy, a checkpoint.

    Raises DasError where one is missing, or cannot stand for the run that it is asked of (`fault`).
    """
    found: dict[str, str] = {}
    if run.uses_data:
        files = fingerprint(run.data)
        if files is None:
            raise DasError(f"{run.data.folder}: is not fetched; do so with `das fetch {run.dataset}`")
        found["files"] = files
    for role, other in run.reads.items():
        require(other, part(role))
        found[role] = sha256(run.read_files[role])
    if isinstance(run, PolicyRun) and run.source.path:
        if not Path(run.source.path).is_file():
            raise DasError(f"policies.{run.policy}.path: {run.source.path} is not there; should be a policy file")
        found["path"] = sha256(Path(run.source.path))
    return found


def require(run: Run, role: str | None = None) -> None:
    """Raise DasError unless the run's main file (the one of ``role``) is there and can stand for it."""
    path = run.files[role] if role else run.main
    how = f"`snakemake --cores all {path}` or `das {run.command}`"
    if not path.is_file():
        raise DasError(f"{path}: does not exist; make it with {how}")
    if why := fault(run, only=role):
        raise DasError(f"{path}: cannot stand: {why}; make it again with {how}")


def key(run: Run, found: Mapping[str, str]) -> str:
    """The full digest under which the store keeps the run: identity, settings, inputs and code."""
    content = {
        "kind": run.kind,
        "identity": list(run.identity.values()),
        "settings": run.settings,
        "sources": run.sources,
        "inputs": dict(found),
        "code": code.fingerprint(run.kind),
    }
    return digest(content, full=True)


def publish(run: Run, contents: Mapping[str, bytes | str], found: Mapping[str, str], facts: Mapping[str, Any]) -> None:
    """Write the run's files, its record, and last its main file; keep all in the store.

    Args:
        contents: the files, by role (`Run.files`).
        found: what the run was made from (`inputs`), as it was when the work began.
        facts: what else the record says: cost, machine, packages, code.

    Raises DasError, and writes nothing, where an input is no longer what it was.
    """
    if changed := [role for role, now in inputs(run).items() if found.get(role) != now]:
        raise DasError(f"{run.main}: its {' and '.join(changed)} changed while it was made; start it again")
    raw = {role: text.encode() if isinstance(text, str) else text for role, text in contents.items()}
    under = key(run, found)
    record = {
        "run": {"kind": run.kind, "study": run.study, **run.identity},
        "key": under,
        "digests": {"settings": run.digest, **found},
        "sources": run.sources,
        "code": code.fingerprint(run.kind),
        "files": {role: hashlib.sha256(content).hexdigest() for role, content in raw.items()},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
    }
    *others, (last, main) = run.files.items()
    for role, path in others:
        write(path, raw[role])
    write(run.record, sealed(record))
    write(main, raw[last])
    if _keep(run, under):
        _forget_states(run)


def _keep(run: Run, under: str) -> bool:
    return Store().keep(run.kind, under, {"record": run.record, **run.files}, name=f"{run.study}/{run.place}")


def _forget_states(run: Run) -> None:
    """Of interrupted work that led to what the store keeps."""
    work = WORK / run.kind / run.study / run.place
    for state in work.parent.glob(f"{work.name}.*.pt"):
        state.unlink(missing_ok=True)


# -- taking ----------------------------------------------------------------------------------------------------------


def take(run: Run) -> bool:
    """Have the run's files from an earlier time, if they are here or in the store, and say so; False if neither is.

    The environment variable DAS_AFRESH=1 (``das … --afresh``) has everything made again.
    """
    if os.environ.get(AFRESH, "") not in ("", "0"):
        return False
    if all(path.is_file() for path in run.files.values()) and fault(run) is None:
        print(f"{run.main}: is there already; --afresh makes it again", flush=True)
        return True
    entry = Store().take(run.kind, key(run, inputs(run)), {"record": run.record, **run.files})
    if entry is None:
        return False
    record = read_sealed(run.record) | {"run": {"kind": run.kind, "study": run.study, **run.identity}}
    write(
        run.record, sealed(record | {"taken_from": {"entry": entry.name, "kept": entry.kept, "digest": entry.digest}})
    )
    print(f"{run.main}: taken from the store, where {entry.name} was kept on {entry.kept}", flush=True)
    return True


@contextmanager
def alone(run: Run):
    """Be the only process that works on the run. Raises DasError naming the process that does already."""
    with lock(lock_path(run), str(run.main)):
        yield


def lock_path(run: Run) -> Path:
    """The file that a process holds, and is named in (`das.files.lock`), while it works on the run."""
    return WORK / "locks" / run.kind / run.study / f"{run.place}.lock"


# -- vouching --------------------------------------------------------------------------------------------------------


def fault(run: Run, look: Look | None = None, only: str | None = None) -> str | None:
    """Why the files at the run's place cannot stand for it; None if they can. Of what is not there nothing is said.

    The record must be of this run, its settings and its inputs as they are now, every file (``only`` the one of that
    role) must be the one that the record names, and what the run reads must stand likewise.
    """
    if look is None:
        with Look(RESULTS / run.study) as look:
            return fault(run, look, only)
    if not run.record.exists():
        return f"{run.record} is missing, which would say what it was made from"
    try:
        record = read_sealed(run.record)
        named, digests, files = record["run"], record["digests"], record["files"]
        made_by = {name: named[name] for name in ("kind", *run.identity)}
    except DasError as error:
        return str(error)
    except (KeyError, TypeError):
        return f"{run.record} is no record of this kind of run"
    if made_by != {"kind": run.kind, **run.identity}:
        return f"{run.record} belongs to another run ({', '.join(map(str, made_by.values()))})"
    if digests.get("settings") != run.digest:
        return "was made with other settings"
    for role, path in run.files.items():
        if only in (None, role) and path.exists() and look.hash(path) != files.get(role):
            return f"{path} is not the file that was made (edited, damaged or exchanged)"
    for role, found in _inputs_now(run, look).items():
        if found is not None and digests.get(role) != found:
            return "was made from other images" if role == "files" else f"was made from another {role}"
    for role, other in run.reads.items():
        if run.read_files[role].is_file() and (why := fault(other, look, only=part(role))):
            return f"{run.read_files[role]}, which it was made from, {why}"
    return None


def _inputs_now(run: Run, look: Look) -> dict[str, str | None]:
    """`inputs`, None for what is not here: nothing is known of it then."""
    found: dict[str, str | None] = {}
    if run.uses_data:
        found["files"] = look.fingerprint(run.data)
    for role, path in run.read_files.items():
        found[role] = look.hash(path) if path.is_file() else None
    if isinstance(run, PolicyRun) and run.source.path:
        found["path"] = look.hash(Path(run.source.path)) if Path(run.source.path).is_file() else None
    return found


def card_fault(path: Path, data: Dataset, look: Look) -> str | None:
    """Why a data set's card (das.data.statistics) cannot stand; None if it can."""
    try:
        made_from = read_sealed(path).get("made_from")
    except DasError as error:
        return str(error)
    now = card_source(data, look)
    return None if now["files"] is None or made_from == now else "was made from other images"


def card_source(data: Dataset, look: Look | None = None) -> dict[str, str | None]:
    """What a data set's card is made from: what its reader is told, and its files."""
    files = fingerprint(data) if look is None else look.fingerprint(data)
    told = {"reader": data.reader, "options": data.options}
    if data.planted:
        told |= {"planted": data.planted.settings()}
    return {"reader": digest(told), "files": files}


def card_path(study: Study, dataset: str, seed: int) -> Path:
    """Where the card of the data set lies that runs with ``seed`` read."""
    split = f".split{data_of(study, dataset, seed).options['split']}" if study.datasets[dataset].splits else ""
    return RESULTS / "data" / study.name / f"{dataset}{split}.json"


def cards(study: Study) -> dict[Path, Dataset]:
    """{card: data set, as the runs that read the card read it} of the study's grid."""
    return {
        card_path(study, name, seed): data_of(study, name, seed)
        for name in study.study.datasets
        for seed in range(study.datasets[name].splits or 1)
    }


def audit(study: Study) -> dict[Path, str]:
    """{main file: why} of all results and cards of the study that are there and cannot stand, and of those that are
    made from such. What is whole is kept in the store, if it is not yet, before anything is made in its place."""
    _forget_the_future(study)
    with Look(RESULTS / study.name) as look:
        unfit = {path: why for path, data in cards(study).items()
                 if path.exists() and (why := card_fault(path, data, look))}  # fmt: skip
    return unfit | unfit_of(study, everything(study))


def _forget_the_future(study: Study) -> None:
    """Files that are newer than now, because another clock is ahead or was, become as old as now: Snakemake would
    delete what is made from them as older than its inputs, and would not make again what stands in their place."""
    files = [path for folder in RESULTS.glob(f"*/{study.name}") for path in folder.rglob("*") if path.is_file()]
    files += [Path(str(data.folder)) / MARK for data in study.datasets.values() if fetched(data)]
    files += [Path(path) for path in registry.lookup("task", study.task).facts.get("published", [])]
    for path in files:
        try:
            if path.stat().st_mtime > time.time():
                os.utime(path)
        except OSError:  # not here, or not ours to change
            continue


def unfit_of(study: Study, runs: Iterable[Run]) -> dict[Path, str]:
    """`audit` of ``runs`` of the study, each of which comes after those it reads."""
    unfit: dict[Path, str] = {}
    with Look(RESULTS / study.name) as look:
        for run in runs:
            if not any(path.exists() for path in (*run.files.values(), run.record)):
                continue
            keep(run, look)
            remade = [role for role, other in run.reads.items() if other.main in unfit]
            if why := fault(run, look) or missing(run):
                unfit[run.main] = why
            elif remade:
                unfit[run.main] = f"its {remade[0]} is made again"
    return unfit


def missing(run: Run) -> str | None:
    """Which file is missing beside the main one. A number needs no weights to stand."""
    lost = [path for role, path in run.files.items() if role != "checkpoint" and not path.exists()]
    return f"{lost[0]} is missing" if lost and run.main.exists() else None


def keep(run: Run, look: Look) -> None:
    """Keep what lies at the run's place in the store, if all of it is what its record names: whether the study still
    asks for it or not, it was made once."""
    try:
        record = read_sealed(run.record)
        under, kind, files = record["key"], record["run"]["kind"], record["files"]
        if kind != run.kind or not re.fullmatch("[0-9a-f]{64}", under) or Store().find(kind, under):
            return
        if files != {role: look.hash(path) for role, path in run.files.items()}:
            return
    except (DasError, OSError, KeyError, TypeError):  # damaged or not all here: `fault` says so
        return
    _keep(run, under)


def newer_than(paths: Iterable[Path]) -> dict[str, str]:
    """{path: a new file}, one for each of ``paths``: as an input it makes Snakemake remake the path, whatever it
    remembers."""
    found = {}
    for path in paths:
        marker = WORK / "again" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.txt"
        write(marker, f"{path}\n{time.time_ns()}\n")
        found[str(path)] = str(marker)
    return found


def everything(study: Study) -> Iterable[Run]:
    """All runs of the study's grid, each after those it reads: policies, trainings, evaluations, tunings."""
    methods = of_study(study)
    found: dict[Path, Run] = {}
    trained_and_tested = [other for method in methods for other in (*_read_by(method), method)]
    for run in trained_and_tested:
        if run.made_by:
            found.setdefault(run.made_by.main, run.made_by)
    for run in sorted(trained_and_tested, key=_evaluations_last):
        found.setdefault(run.main, run)
    for tuning in tunings_of(study):
        found.setdefault(tuning.main, tuning)
    return found.values()


def _read_by(run: MethodRun) -> list[MethodRun]:
    """The trainings whose weights a method reads."""
    return [other for other in run.reads.values() if isinstance(other, MethodRun)]


def _evaluations_last(run: MethodRun) -> bool:
    return isinstance(run, EvaluationRun)
