"""A study as a Workflow Run RO-Crate: the workflow, its settings, what was made, and by which runs (docs/crate.md).

RO-Crate 1.1 (https://w3id.org/ro/crate/1.1) under the profiles Process Run Crate 0.5, Workflow Run Crate 0.5
(https://w3id.org/ro/wfrun) and Workflow RO-Crate 1.0. Each run that can stand for the study is a CreateAction, as its
run record has it.
"""

import base64
import hashlib
import io
import json
import mimetypes
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from das.errors import DasError
from das.files import replacing
from das.report import checklist
from das.seals import read_sealed
from das.study import products, recorded, results, verify
from das.study.runs import RESULTS, Run, digest, part
from das.study.schema import Dataset, Study
from das.study.sources import sha256

FOLDER = RESULTS / "crate"
WORKFLOW = Path("Snakefile")
SOURCES = (
    "workflow",
    "profiles/default",
    "pyproject.toml",
    "uv.lock",
    "LICENSE",
    "CITATION.cff",
)  # those that are here
SETTINGS, CHECKLIST = "settings/resolved.yaml", "checklist.md"  # as they are called in the crate
WFRUN = "https://w3id.org/ro/wfrun"
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}  # RO-Crate 1.1 has no word for it
BIOSCHEMAS = "https://bioschemas.org/profiles"
MIT = "https://spdx.org/licenses/MIT"
COMPLETED = "http://schema.org/CompletedActionStatus"
TYPES = {".yaml": "application/yaml", ".md": "text/markdown", ".lock": "application/toml", ".toml": "application/toml"}
EPOCH = (1980, 1, 1, 0, 0, 0)  # of all members of the archive: the earliest that a ZIP file can say

#: What the workflow gives: the folder below results/, and what lies there.
OUTPUTS = {
    "policies": "policies: how an image becomes a video, the histories of their searches, run records",
    "numbers": "numbers: what each method scored with each seed, run records",
    "checkpoints": "weights of trained networks",
    "tuning": "trials of settings, run records",
    "tables": "tables of what was found",
    "figures": "figures of what was found",
}
README = """# {title}

{description}

`ro-crate-metadata.json` says of each file what it is, and of each run what made it, when, from what
(https://w3id.org/ro/crate). `settings/resolved.yaml` holds all settings; `checklist.md` answers what conferences ask.
Weights that are not here are named by their SHA-256 (`ni:///sha-256;...`).

In a clone of the repository, at the commit that the run records name, all of it is made again by

    snakemake --cores all results/report{layers}
"""
Reference = dict[str, str]


def crate_path(study: Study) -> Path:
    return FOLDER / f"{study.name}.zip"


def write_crate(study: Study, study_files: Sequence[Path], checkpoints: bool = False) -> tuple[Path, list[str]]:
    """Write the crate and return its path, and what of the study is not in it, and why.

    Equal content is equal bytes, whenever it is written.

    Args:
        checkpoints: put them into it; otherwise they are named by their SHA-256.

    Raises DasError where there is no workflow, or no result that can stand.
    """
    if not WORKFLOW.is_file():
        raise DasError(f"{WORKFLOW}: is not here; a crate holds the workflow, so write it in a clone of the repository")
    traced = {result.path: result for result in verify.trace(study)}
    faults = {path: result.fault for path, result in traced.items() if result.fault}
    runs = list(results.everything(study))
    standing = [run for run in runs if run.main not in faults]
    if not standing:
        raise DasError(f"the study {study.name}: has no results that can stand; `das verify` says why")
    crate = _Crate(study, study_files, checkpoints, faults)
    for run in standing:
        crate.add_run(run, str(traced[run.main].tier))
    for kind in ("tables", "figures", "receptive_fields"):
        if products.record_path(study, kind) not in faults:
            crate.add_products(kind)
    answers = checklist.markdown(study, list(traced.values()))
    crate.finish(answers, f"{len(standing)} of its {len(runs)} runs were made and can stand.")
    with replacing(crate_path(study)) as aside:
        crate.write(aside)
    return crate_path(study), [f"{path}: {why}" for path, why in faults.items()]


class _Crate:
    """The crate as it grows: its metadata (``graph``) and its files (``files``: where they lie, or what they hold)."""

    def __init__(self, study: Study, study_files: Iterable[Path], checkpoints: bool, faults: Mapping[Path, str | None]):
        self.study, self.checkpoints = study, checkpoints
        self.graph = ROCrate(version="1.1")
        self.graph.metadata.extra_terms = TERMS
        self.files: dict[str, Path | bytes] = {}
        self.actions: list[Reference] = []
        self.times: list[datetime] = []
        self.parts: dict[str, list[Reference]] = {name: [] for name in OUTPUTS}
        self._add_workflow(study_files)
        self.data = {}
        for name in study.study.datasets:
            cards = [path for path in results.cards(study) if path.name.split(".")[0] == name]
            self.data[name] = self._add_data(
                name, study.datasets[name], [path for path in cards if path.is_file() and path not in faults]
            )

    # -- entities --

    def entity(self, id: str, type: str, **properties: Any) -> Reference:
        """Add what is no file of the crate, once; returns the reference to it."""
        if self.graph.get(id) is None:
            self.graph.add(ContextEntity(self.graph, id, properties={"@type": type, **_said(properties)}))
        return {"@id": id}

    def file(self, place: Path | str, name: str, content: Path | bytes | None = None, **properties: Any) -> Reference:
        """Add a file, once; returns the reference to it."""
        path = Path(place).as_posix()
        if path not in self.files:
            self.files[path] = content = Path(place) if content is None else content
            kind = TYPES.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "text/plain"
            facts = {"name": name, "encodingFormat": kind, **_facts(content), **properties}
            self.graph.add_file(dest_path=path, properties=_said(facts))
        return {"@id": quote(path)}

    def folder(self, path: str, name: str, parts: list[Reference], **properties: Any) -> Reference:
        self.files[f"{path}/"] = b""
        self.graph.add_dataset(dest_path=path, properties={"name": name, "hasPart": parts, **properties})
        return {"@id": f"{path}/"}

    # -- what the workflow is and takes --

    def _add_workflow(self, study_files: Iterable[Path]) -> None:
        resolved = yaml.safe_dump(self.study.model_dump(mode="json"), sort_keys=False, allow_unicode=True).encode()
        settings = self.file(
            SETTINGS, "the study's settings, resolved", resolved, exampleOfWork={"@id": "#input-study"}
        )
        self.layers = [_inside(path, place) for place, path in enumerate(study_files)]
        layers = [
            self.file(name, "layer of the study's settings", path)
            for name, path in zip(self.layers, study_files, strict=True)
        ]
        self.settings = [settings, *layers]
        self.files[WORKFLOW.name] = WORKFLOW
        self.workflow = self.graph.add_workflow(
            dest_path=WORKFLOW.name,
            main=True,
            lang="snakemake",
            lang_version=version("snakemake"),
            properties={
                "name": "search of policies, trainings, tests, tables and figures",
                "encodingFormat": "text/plain",
                "version": version("das"),
                "license": {"@id": MIT},
                "conformsTo": {"@id": f"{BIOSCHEMAS}/ComputationalWorkflow/1.0-RELEASE"},
                **_facts(WORKFLOW),
            },
        )
        self.workflow["hasPart"] = [self.file(path, f"of the workflow: {path.name}") for path in _sources()]

    def _add_data(self, name: str, data: Dataset, cards: list[Path]) -> Reference:
        terms = checklist.terms_of(data)
        return self.entity(
            f"#data-{name}",
            "Dataset",
            name=data.title,
            description=f"images, as the reader {data.reader} reads them; not in the crate",
            license=self.file(terms, f"terms of {data.title}") if terms else None,
            exampleOfWork={"@id": "#input-data"},
            subjectOf=[self.file(path, f"data card of {data.title}") for path in cards],
        )

    # -- what was made --

    def add_run(self, run: Run, tier: str) -> None:
        """Add a run that can stand: its files, and the action that made them."""
        record = read_sealed(run.record)
        vouched = self.file(run.record, f"run record of {run.title}")
        self.parts[run.record.parts[1]].append(vouched)
        end = datetime.fromisoformat(record["made"])
        start = end - timedelta(seconds=round(record["cost"]["wall_s"])) if "cost" in record else None
        self.times += [time for time in (start, end) if time]
        read = [self._product(other, part(role), record["digests"][role]) for role, other in run.reads.items()]
        action = self.entity(
            f"#{run.kind}/{run.place}",
            "CreateAction",
            name=run.title,
            description=". ".join([*_how(record), f"Evidence: {tier}"]),
            instrument=self._software(run, record),
            object=[self.settings[0], *([self.data[run.dataset]] if run.uses_data else []), *read],
            result=[self._product(run, role, content) for role, content in record["files"].items()],
            startTime=start and start.isoformat(),
            endTime=end.isoformat(),
            actionStatus=COMPLETED,
            subjectOf=vouched,
        )
        self.actions.append(action)

    def _product(self, run: Run, role: str, content: str) -> Reference:
        """A file that a run made. One that is not in the crate is named by its SHA-256, ``content`` (RFC 6920)."""
        path = run.files[role]
        if path.is_file() and (self.checkpoints or role != "checkpoint"):
            reference = self.file(path, f"{role} of {run.title}")
            if reference not in self.parts[path.parts[1]]:
                self.parts[path.parts[1]].append(reference)
            return reference
        name = base64.urlsafe_b64encode(bytes.fromhex(content)).decode().rstrip("=")
        about = {"name": path.as_posix(), "description": f"{role} of {run.title}; not in the crate", "sha256": content}
        return self.entity(f"ni:///sha-256;{name}", "CreativeWork", **about)

    def _software(self, run: Run, record: Mapping[str, Any]) -> Reference:
        """What made a run: the command, at a commit, with the packages it computes with."""
        packages = record.get("packages", {})
        facts = [run.command, record.get("git_commit"), record["code"], packages]
        return self.entity(
            f"#das-{run.command}-{digest(facts)}",
            "SoftwareApplication",
            name=f"das {run.command}",
            version=record.get("git_commit") or record["code"],
            identifier=record["code"],
            description="version: its commit, as far as recorded; identifier: the fingerprint of the sources that can "
            "change what it makes",
            softwareRequirements=[
                self.entity(f"#{name}-{made}", "SoftwareApplication", name=name, version=made)
                for name, made in packages.items()
            ],
        )

    def add_products(self, kind: str) -> None:
        """Add the study's tables or figures that are there."""
        record = products.record_path(self.study, kind)
        if record.is_file():
            paths = [record.parent / name for name in products.files_of(kind, record.parent)]
            said = kind.replace("_", " ")
            self.parts[record.parts[1]] += [self.file(path, f"{said}: {path.name}") for path in [*paths, record]]

    # -- what is known at the end --

    def finish(self, answers: str, how_much: str) -> None:
        """Add the checklist, the action of the whole, and what the crate is."""
        outputs = {}
        for name, said in OUTPUTS.items():
            if self.parts[name]:
                outputs[name] = self.folder(
                    f"results/{name}/{self.study.name}",
                    said,
                    self.parts[name],
                    exampleOfWork={"@id": f"#output-{name}"},
                )
        self.workflow["input"] = [
            self._parameter("input-study", "File", "settings of the study", [self.settings[0]]),
            self._parameter("input-data", "Dataset", "data sets of the study", list(self.data.values())),
        ]
        self.workflow["output"] = [
            self._parameter(f"output-{name}", "Dataset", OUTPUTS[name], [place]) for name, place in outputs.items()
        ]
        whole = self.entity(
            "#study",
            "CreateAction",
            name=f"the study {self.study.name}",
            description="all work of the study, from its first run to its last, in one call of Snakemake or in many",
            instrument={"@id": self.workflow.id},
            object=[*self.settings, *self.data.values()],
            result=list(outputs.values()),
            startTime=min(self.times).isoformat(),
            endTime=max(self.times).isoformat(),
            actionStatus=COMPLETED,
        )
        grid, root = self.study.study, self.graph.root_dataset
        title = f"{grid.title or grid.name}: a study of Differentiable Augmentation Search"
        root["name"] = title
        root["description"] = " ".join([grid.question or f"The study {grid.name}.", how_much])
        layers = "".join([" --configfile", *(f" {layer}" for layer in self.layers[1:])] if self.layers[1:] else [])
        readme = README.format(title=title, description=root["description"], layers=layers)
        self.file("README.md", "how to read the crate", readme.encode(), about={"@id": "./"})
        root["datePublished"] = max(self.times).isoformat()
        root["license"] = self.entity(MIT, "CreativeWork", name="MIT License", description="not of the images")
        root["conformsTo"] = list(self._profiles())
        root["mentions"] = [whole, *self.actions]
        root["subjectOf"] = self.file(CHECKLIST, "reproducibility checklist", answers.encode())

    def _parameter(self, name: str, type: str, said: str, examples: list[Reference]) -> Reference:
        return self.entity(
            f"#{name}",
            "FormalParameter",
            name=name.partition("-")[2],
            additionalType=type,
            description=said,
            workExample=examples,
            conformsTo={"@id": f"{BIOSCHEMAS}/FormalParameter/1.0-RELEASE"},
        )

    def _profiles(self) -> Iterator[Reference]:
        for name, id in {
            "Process Run Crate": f"{WFRUN}/process/0.5",
            "Workflow Run Crate": f"{WFRUN}/workflow/0.5",
            "Workflow RO-Crate": "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
        }.items():
            yield self.entity(id, "CreativeWork", name=name, version=id.rpartition("/")[2])

    def write(self, path: Path) -> None:
        """Write the crate as a ZIP file."""
        graph = self.graph.metadata.generate()
        graph["@graph"] = [{name: _single(value) for name, value in entity.items()} for entity in graph["@graph"]]
        metadata = json.dumps(graph, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {
                self.graph.metadata.id: metadata.encode(),
                **dict(sorted(self.files.items())),
            }.items():
                member = zipfile.ZipInfo(name, EPOCH)
                member.compress_type, member.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
                read = content.open("rb") if isinstance(content, Path) else io.BytesIO(content)
                with read, archive.open(member, "w", force_zip64=True) as written:
                    shutil.copyfileobj(read, written)


def _sources() -> list[Path]:
    """The files of the workflow, beside the Snakefile."""
    found = (path for place in map(Path, SOURCES) for path in ([place] if place.is_file() else place.rglob("*")))
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


def _inside(path: Path, place: int) -> str:
    """Where a layer of settings lies in the crate: as in the project, or beside it."""
    try:
        return Path(os.path.normpath(path.absolute())).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return f"layers/{place}_{path.name}"


def _facts(content: Path | bytes) -> dict[str, str]:
    """Size in bytes and SHA-256."""
    if isinstance(content, Path):
        return {"contentSize": str(content.stat().st_size), "sha256": sha256(content)}
    return {"contentSize": str(len(content)), "sha256": hashlib.sha256(content).hexdigest()}


def _single(value: Any) -> Any:
    """``value``, or what is alone in it: RO-Crate 1.1 would have no list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _said(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Those of ``properties`` that say something."""
    return {name: value for name, value in properties.items() if value not in (None, [], "")}


def _how(record: Mapping[str, Any]) -> Iterator[str]:
    """On what a run was made, and how it came here."""
    machine = record.get("machine", {})
    yield (
        f"On {', '.join(str(value) for value in machine.values())}" if machine else "On a machine that is not recorded"
    )
    if "taken_from" in record:
        yield f"Taken from the store, where {record['taken_from']['entry']} was kept"
    if recorded.MARK in record:
        yield f"Put back from {record[recorded.MARK]['file']}"
