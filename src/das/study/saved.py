"""Saved results: a study's finished work in DVC's remote, and back in another clone (docs/dvc.md).

DVC knows, compares and moves the files. What it knows stands in git: in dvc.lock for the study of params.yaml, whose
stages dvc.yaml has, and in docs/results/saved/STUDY.dvc for a study of further files. What is restored is vouched for
as any result is (`das.study.results.fault`): only what can stand is put in a place, where nothing gives way unasked.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from das.errors import DasError
from das.files import publish, replacing
from das.study import products, results
from das.study.load import load_study
from das.study.runs import RESULTS, Run
from das.study.schema import Study
from das.study.sources import Look

FOLDER = Path("docs/results/saved")
PIPELINE = Path("dvc.yaml")
PARAMS = Path("params.yaml")
KINDS = ("data", "policies", "checkpoints", "numbers", "tuning")
MOST_TOLD = 20


@dataclass
class Restored:
    """What a restore did: how many ``files`` it put in places, how many runs and cards were ``there`` already, and
    lines that say what was ``refused``."""

    files: int = 0
    there: int = 0
    refused: list[str] = field(default_factory=list)


def save(study: Study, remote: str | None = None) -> tuple[Path, list[str]]:
    """Push the study's finished work to a remote of DVC, by default its default one; returns the file of hashes that
    git must keep, and the stages that are not finished.

    Of the study of params.yaml the stages that are finished are saved, because dvc.lock says of a stage that it is
    done; of others what there is. Raises DasError where a result cannot stand, where nothing is finished, and where the
    remote does not answer.
    """
    if unfit := results.audit(study) | products.stale(study):
        told = [f"{path}: {why}" for path, why in unfit.items()][:MOST_TOLD]
        raise DasError("\n".join([*told, f"{len(unfit)} results cannot stand, so nothing was saved; make them again"]))
    with _repository() as repo:
        if study.name == (pipeline := load_study([PARAMS])).name:
            if study != pipeline:
                raise DasError(
                    f"study.name: is {study.name!r}, as in {PARAMS}, whose results dvc.lock keeps; choose another"
                )
            kept, (targets, unfinished) = PIPELINE.with_suffix(".lock"), _stages(repo, study)
        else:
            kept, unfinished = FOLDER / f"{study.name}.dvc", []
            targets = [str(kept)] if _track(study, kept) else []
        if not targets:
            raise DasError(f"{RESULTS}: nothing of the study {study.name} is finished; make it first")
        with _answering(repo, remote, holds=False):
            for target in targets:
                repo.commit(target, force=True, allow_missing=True)
            repo.push(targets, remote=remote)
    return kept, unfinished


def restore(study: Study, wanted: Sequence[Path] = (), remote: str | None = None, replace: bool = False) -> Restored:
    """Put what was saved of the study in the places that are empty.

    Args:
        wanted: files or folders of the study's results, by default all. With a file comes its run record.
        remote: of DVC, by default its default one.
        replace: let what is there and differs give way; the store keeps it, if it is whole.

    Raises DasError where nothing was saved, where ``wanted`` names nothing of the study, and where the remote does not
    answer.
    """
    runs = _runs(study, wanted)
    cards = {path: data for path, data in results.cards(study).items() if _among(path, wanted)}
    if not runs and not cards:
        raise DasError(f"{', '.join(map(str, wanted))}: is no result of the study {study.name}, nor a folder of them")
    done = Restored()
    with _repository() as repo:
        objects = _objects(repo, study, {*cards, *(path for files in runs.values() for path in files)}, remote, done)
    with Look(RESULTS / study.name) as look:

        def place(what: Path, files: Sequence[Path], fault: Callable[[], str | None], keep: Callable[[], None]) -> None:
            saved = {path: objects[path] for path in files if path in objects}
            if folders := [path for path in saved if path.is_dir()]:
                done.refused.append(f"{folders[0]}: is a folder, where a file was saved, and stays; move it away")
                return
            differ = [path for path, source in saved.items() if path.exists() and _md5(path) != _md5(source)]
            if differ and not replace:
                done.refused.append(f"{differ[0]}: is not what was saved, and stays; --replace has it give way")
                return
            if differ:
                keep()
            missing = [path for path in saved if path in differ or not path.exists()]
            for path in missing:
                with replacing(path) as aside:
                    shutil.copyfile(saved[path], aside)
            if missing and (why := fault()):
                for path in missing:
                    path.unlink()
                done.refused.append(f"{what}: {why}; what was saved of it is not put in its place")
            elif missing:
                done.files += len(missing)
            elif saved:
                done.there += 1

        for card, data in cards.items():
            place(card, [card], partial(results.card_fault, card, data, look), lambda: None)
        for run, files in runs.items():
            place(run.main, files, partial(_fault, run, files, look), partial(results.keep, run, look))
    return done


def _runs(study: Study, wanted: Sequence[Path]) -> dict[Run, list[Path]]:
    """The wanted files of each run, its record first and its main file last; each run after those it reads."""
    found = {}
    for run in results.everything(study):
        if files := [path for path in (run.record, *run.files.values()) if _among(path, wanted)]:
            found[run] = list(dict.fromkeys([run.record, *files]))
    return found


def _among(path: Path, wanted: Sequence[Path]) -> bool:
    return not wanted or any(path == place or place in path.parents for place in wanted)


def _fault(run: Run, files: Sequence[Path], look: Look) -> str | None:
    """`results.fault` of those of the run's files that are meant."""
    roles = [role for role, path in run.files.items() if path in files]
    asked: list[str | None] = [None] if len(roles) == len(run.files) else list(roles)
    return next((why for role in asked if (why := results.fault(run, look, only=role))), None)


# -- what DVC knows, and what moves ------------------------------------------------------------------------------------


@contextmanager
def _repository() -> Iterator[Any]:
    """The DVC repository of this folder (dvc.repo.Repo). Its errors, and those of the remote, become one line."""
    from dvc.config import ConfigError
    from dvc.exceptions import DvcException, NotDvcRepoError
    from dvc.repo import Repo

    loud = [logging.getLogger(name) for name in ("dvc", "dvc_data", "dvc_objects")]
    levels = [logger.level for logger in loud]
    try:
        for logger in loud:
            logger.setLevel(logging.CRITICAL)  # what failed is told below, file by file
        with Repo() as repo:
            yield repo
    except NotDvcRepoError:
        raise DasError("here is no DVC repository; make one with `git init` and `dvc init`") from None
    except ConfigError as error:
        raise DasError(f"DVC: {_line(error)} (docs/dvc.md)") from None
    except DvcException as error:
        raise DasError(f"DVC: {_line(error)}") from None
    finally:
        for logger, level in zip(loud, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _answering(repo: Any, name: str | None, holds: bool) -> Iterator[None]:
    """Work with a remote; DasError in one line where it does not answer, not to us, or does not exist and ``holds``."""
    from dvc.exceptions import DvcException
    from dvc.fs import RemoteMissingDepsError

    remote = repo.cloud.get_remote(name)
    where = f"remote {remote.name!r}"
    try:
        where += f" ({remote.fs.unstrip_protocol(remote.path)})"
        if not remote.fs.exists(remote.path) and holds:
            raise DasError(f"{where}: is not there, or nothing was saved in it")
        yield
    except RemoteMissingDepsError as error:
        raise DasError(f"{where}: {_line(error)}; `uv sync --extra {remote.fs.protocol}`") from None
    except (DasError, DvcException):
        raise
    except Exception as error:  # each kind of remote has errors of its own
        raise DasError(f"{where}: {_line(error)}") from None


def _line(error: BaseException) -> str:
    return " ".join(f"{error or type(error).__name__}".split())[:300]


def _stages(repo: Any, study: Study) -> tuple[list[str], list[str]]:
    """The stages of dvc.yaml all of whose results, and all that these are made from, are there, and the others."""
    from dvc.dependency import ParamsDependency

    made = (path for run in results.everything(study) for path in (*run.files.values(), run.record))
    lacking = [path for path in made if not path.exists()]
    finished: list[str] = []
    unfinished: list[str] = []
    for stage in repo.index.stages:
        if Path(stage.relpath) == PIPELINE:
            files = [dep for dep in stage.deps if not isinstance(dep, ParamsDependency)]
            places = [_place(one) for one in (*stage.outs, *files)]
            whole = all(place.exists() and not any(place in path.parents for path in lacking) for place in places)
            (finished if whole else unfinished).append(stage.addressing)
    return finished, unfinished


def _track(study: Study, kept: Path) -> bool:
    """Write the file that says which folders hold the study's results; False where none is there."""
    up = Path(*[".."] * len(kept.parent.parts))
    places = [RESULTS / kind / study.name for kind in KINDS]
    outs = [{"path": (up / place).as_posix()} for place in places if place.is_dir()]
    if outs:
        publish(kept, yaml.safe_dump({"outs": outs}))
    return bool(outs)


def _place(out: Any) -> Path:
    return Path(os.path.relpath(out.fs_path))


def _objects(repo: Any, study: Study, asked: set[Path], remote: str | None, done: Restored) -> dict[Path, Path]:
    """{file of ``asked`` that was saved: its object in DVC's cache}. Raises DasError where DVC knows of none."""
    from dvc_data.hashfile.tree import Tree

    folders = {RESULTS / kind / study.name for kind in KINDS}
    saved = {
        place: out.hash_info
        for out in repo.index.outs
        if out.hash_info and folders & {(place := _place(out)), *place.parents}
    }
    if not saved:
        raise DasError(f"nothing of the study {study.name} was saved: neither dvc.lock nor {FOLDER} knows of it")
    lists = {place: of for place, of in saved.items() if of.isdir and any(place in path.parents for path in asked)}
    for place in _brought(repo, lists, remote, done):
        listed = Tree.load(repo.cache.local, lists[place])
        saved |= {place.joinpath(*key): of for key, (_, of) in listed.iteritems()}
    return _brought(repo, {path: of for path, of in saved.items() if path in asked}, remote, done)


def _brought(repo: Any, hashes: Mapping[Path, Any], remote: str | None, done: Restored) -> dict[Path, Path]:
    """{path: its object in DVC's cache}, from the remote where the cache lacks it or holds it damaged. What the remote
    lacks, or holds damaged, is left out and named."""
    objects = {path: Path(repo.cache.local.oid_to_path(of.value)) for path, of in hashes.items()}
    for path, place in objects.items():
        if place.exists() and not _intact(place, hashes[path]):
            print(f"{place}: is damaged in DVC's cache ({path}); it is brought again", flush=True)
            place.unlink()
    lacking = {of for path, of in hashes.items() if not objects[path].exists()}
    damaged = _pull(repo, lacking, remote) if lacking else set()
    for path, of in hashes.items():
        place = objects[path]
        if of in damaged or (of in lacking and place.exists() and not _intact(place, of)):
            place.unlink(missing_ok=True)
            done.refused.append(f"{path}: is damaged in the remote (its MD5 is not {of.value})")
        elif not place.exists():
            done.refused.append(f"{path}: the remote lacks its object ({of.value})")
    return {path: place for path, place in objects.items() if place.exists()}


def _pull(repo: Any, lacking: set[Any], remote: str | None) -> set[Any]:
    """Bring objects into DVC's cache; returns those that DVC itself found damaged: of lists of folders, which it reads,
    it stops at one."""
    from dvc_objects.errors import ObjectFormatError

    lists, damaged = [{of} for of in lacking if of.isdir], set()
    with _answering(repo, remote, holds=True):
        for some in [*lists, lacking.difference(*lists)]:
            try:
                repo.cloud.pull(some, remote=remote)
            except ObjectFormatError:
                damaged |= some
    return damaged


def _intact(place: Path, of: Any) -> bool:
    return _md5(place) == of.value.partition(".")[0]


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
