"""Which files a run reads, by content: found again in milliseconds, because only what changed is hashed again."""

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

from das.errors import DasError
from das.files import publish, read_json
from das.study.schema import Dataset

CACHE = Path("results/work/hashes")
MARK = "prepared.json"
FOREIGN = ("__MACOSX",)
SETTLED_NS = 2 * 10**9


class Look:
    """One look at the files there are: every content is hashed once, and remembered by size, inode and times of change
    for the next look at the same ``place``. What changed just now is not remembered: it could change once more within
    the clock's resolution."""

    def __init__(self, place: str | Path):
        name = hashlib.sha256(str(Path(place).resolve()).encode()).hexdigest()[:16]
        self.memory = CACHE / f"{name}.json"
        self.prints: dict[str, str | None] = {}

    def __enter__(self) -> "Look":
        try:
            self.known = read_json(self.memory) if self.memory.exists() else {}
        except DasError:  # a damaged memory only costs time
            self.known = {}
        self.new = False
        return self

    def __exit__(self, *error: object) -> None:
        if self.new:
            try:
                publish(self.memory, json.dumps(self.known, separators=(",", ":")))
            except DasError:  # a read-only folder only costs time
                return

    def hash(self, path: Path) -> str:
        """SHA-256 of a file's content."""
        stat = path.stat()
        name, change = str(path), [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
        known = self.known.get(name)
        if isinstance(known, list) and known[:-1] == change:
            return known[-1]
        content = sha256(path)
        if time.time_ns() - stat.st_ctime_ns > SETTLED_NS:
            self.known[name], self.new = [*change, content], True
        return content

    def fingerprint(self, data: Dataset) -> str | None:
        """`fingerprint`, once a look."""
        folder = str(data.folder)
        if folder not in self.prints:
            self.prints[folder] = fingerprint(data)
        return self.prints[folder]


def fingerprint(data: Dataset) -> str | None:
    """A hash of the files of a data set; None where a set that can be fetched is not here yet.

    Of a fetched set its mark counts, and names and sizes of the files beside it (its archives were verified when they
    were fetched); of all other sets every file's name and content, hidden and foreign files left out. Raises DasError
    where a set of one's own is missing.
    """
    folder = Path(str(data.folder))
    if fetched(data):
        if not (folder / MARK).is_file():
            return None
        beside = sorted((file.name, file.stat().st_size) for file in folder.iterdir() if file.is_file())
        return _hash([sha256(folder / MARK), beside])
    if not folder.exists():
        raise DasError(f"root: {folder} is not there; data set {data.title!r} reads its files from it")
    with Look(folder) as look:
        names = [file.relative_to(folder).as_posix() for file in _files(folder)] if folder.is_dir() else [""]
        return _hash([(name, look.hash(folder / name)) for name in names])


def fetched(data: Dataset) -> bool:
    """Whether the data set comes from its publisher: then a rule fetches it."""
    own_place = str(data.entry.facts.get("root") or "")
    return own_place.startswith("data/raw/") and str(data.folder).startswith("data/raw/")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Files below ``folder`` in the order of their names, following links; unreadable ones are the reader's to name."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in FOREIGN:
            continue
        if entry.is_dir():
            yield from _files(entry)
        elif entry.is_file():
            yield entry


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
