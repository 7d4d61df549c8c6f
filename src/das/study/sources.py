"""Which files a run reads, by content: found again in milliseconds, because only what changed is hashed again."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from das.errors import DasError
from das.files import publish, read_json
from das.study.schema import Dataset

CACHE = Path("results/work/hashes")
MARK = "prepared.json"
FOREIGN = ("__MACOSX", "Thumbs.db", "desktop.ini")  # what operating systems leave beside files
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
    were fetched); of all other sets name and content of every file that `walk` finds. Raises DasError where a set of
    one's own is missing.
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
        names = [file.relative_to(folder).as_posix() for file in walk(folder)] if folder.is_dir() else [""]
        return _hash([(name, look.hash(folder / name)) for name in names])


def fetched(data: Dataset) -> bool:
    """Whether the data set comes from its publisher: then a rule fetches it."""
    own_place = str(data.entry.facts.get("root") or "")
    return own_place.startswith("data/raw/") and str(data.folder).startswith("data/raw/")


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def walk(
    folder: Path, aside: Callable[[Path, str], object] = lambda path, why: None, above: tuple[Path, ...] = ()
) -> Iterator[Path]:
    """Files below ``folder`` that count, in the order of their names, links followed.

    ``aside`` is told of the others, with the reason: `hidden` (``.name``), `foreign` (FOREIGN), or why they cannot be
    read. ``above`` holds the real paths of the folders that the walk came through.
    """
    above = (*above, folder.resolve())
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        aside(folder, f"cannot be read ({error.strerror})")
        return
    for entry in entries:
        if entry.name.startswith("."):
            aside(entry, "hidden")
        elif entry.name in FOREIGN:
            aside(entry, "foreign")
        elif entry.is_dir():
            if entry.is_symlink() and entry.resolve() in above:
                aside(entry, "links to a folder above it")
            else:
                yield from walk(entry, aside, above)
        elif not entry.is_file():
            aside(entry, "links to nothing" if entry.is_symlink() else "no plain file")
        elif not os.access(entry, os.R_OK):
            aside(entry, "cannot be read (no permission)")
        else:
            yield entry


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
