"""A store of finished work: files under the digest of all they depend on, so that no path can lose them.

An entry is a folder KIND/DD/DIGEST with ``entry.json`` (what is in it, with SHA-256) and the files. It is written
beside its place and renamed, so it is whole or not there, and two processes may keep the same one at once. Large files
are reflinks or hard links to what was published, where the file system has them.
"""

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import file_digest
from pathlib import Path
from typing import Any

from das.errors import DasError
from das.files import LEFTOVER_S, publish_json, read_json, replacing

ROOT = Path("results/store")
DAMAGED = "damaged"
LINKED = 1 << 20  # bytes; smaller files are copied, so that an edit of one never reaches the other
FICLONE = 0x40049409  # linux/fs.h


@dataclass(frozen=True)
class Entry:
    """What the store keeps under one digest: ``name`` of the run, ``files`` {role: {file, sha256, bytes}}, ``kept``
    the time in UTC, ``folder`` where."""

    kind: str
    digest: str
    name: str
    files: Mapping[str, Mapping[str, Any]]
    kept: str
    folder: Path

    @property
    def size(self) -> int:
        """Bytes of its files; those that are hard links cost no space of their own."""
        return sum(file["bytes"] for file in self.files.values())


class Store:
    """The store below ``root``."""

    def __init__(self, root: Path = ROOT):
        self.root = root

    def keep(self, kind: str, digest: str, files: Mapping[str, Path], name: str) -> bool:
        """Keep ``files``, by role, under ``digest``; False, and one line printed, where the disk does not allow it.

        An entry that is there already stays, unless it is damaged: then it is moved aside, with one line printed.
        """
        place = self._place(kind, digest)
        if entry := self.find(kind, digest):
            wrong = next(_faults(entry), None)
            if not wrong:
                return True
            self._move_aside(place, wrong)
        aside = place.with_name(f".{digest}.{secrets.token_hex(4)}")
        try:
            aside.mkdir(parents=True)
            _tidy(place)
            kept = {}
            for role, path in files.items():
                target = aside / f"{role}{path.suffix}"
                _copy(path, target)
                kept[role] = {"file": target.name, "sha256": _sha256(target), "bytes": target.stat().st_size}
            made = datetime.now(UTC).isoformat(timespec="seconds")
            publish_json(
                aside / "entry.json", {"kind": kind, "digest": digest, "name": name, "kept": made, "files": kept}
            )
            aside.rename(place)
        except (OSError, DasError) as error:
            if not (place / "entry.json").is_file():
                print(
                    f"{place}: {name} could not be kept in the store ({error}); the results themselves are whole",
                    flush=True,
                )
                return False
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return True

    def find(self, kind: str, digest: str) -> Entry | None:
        """The entry under ``digest``; one that cannot be read is moved aside, with one line printed."""
        place = self._place(kind, digest)
        if not place.is_dir():
            return None
        try:
            return _read(place)
        except DasError as error:
            self._move_aside(place, str(error))
            return None

    def take(self, kind: str, digest: str, files: Mapping[str, Path]) -> Entry | None:
        """Put the files of the entry under ``digest`` to their places, the last role last; None where there is none, or
        where it is damaged: then it is moved aside, with one line printed. DasError where a place is not writable.
        """
        entry = self.find(kind, digest)
        if entry is None:
            return None
        wrong = next(_faults(entry), None) or next(
            (f"has no {role}" for role in files if role not in entry.files), None
        )
        if wrong:
            self._move_aside(entry.folder, wrong)
            return None
        for role, path in files.items():
            with replacing(path) as aside:
                _copy(entry.folder / entry.files[role]["file"], aside)
        return entry

    def entries(self) -> Iterator[Entry]:
        """All entries that can be read, in the order of their kinds and digests."""
        for place in self._places():
            try:
                yield _read(place)
            except DasError:
                continue

    def verify(self) -> list[tuple[str, str]]:
        """(entry, what is wrong with it) of every damaged entry; hashes every file."""
        found = []
        for place in self._places():
            try:
                entry = _read(place)
                found += [(f"{place} ({entry.name})", fault) for fault in _faults(entry)]
            except DasError as error:
                found.append((str(place), str(error)))
        return found

    def forget(self, entry: Entry) -> None:
        """Remove an entry. Raises DasError where the disk does not allow it."""
        try:
            aside = entry.folder.with_name(f".{entry.digest}.{secrets.token_hex(4)}")
            entry.folder.rename(aside)
            shutil.rmtree(aside)
        except OSError as error:
            raise DasError(f"{entry.folder}: cannot be removed ({error.strerror})") from None

    def _place(self, kind: str, digest: str) -> Path:
        return self.root / kind / digest[:2] / digest

    def _places(self) -> Iterator[Path]:
        for path in sorted(self.root.glob("*/*/*")):
            if path.is_dir() and not path.name.startswith(".") and path.parts[-3] != DAMAGED:
                yield path

    def _move_aside(self, place: Path, why: str) -> None:
        aside = self.root / DAMAGED / place.parts[-3] / f"{place.name}.{secrets.token_hex(2)}"
        print(f"{place}: is damaged ({why}) and of no use any more; it now lies in {aside}", flush=True)
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            place.rename(aside)
        except OSError as error:
            print(f"{place}: cannot be moved aside ({error.strerror})", flush=True)


def _tidy(place: Path) -> None:
    """Remove what kills left of attempts to keep the same."""
    for leftover in place.parent.glob(f".{place.name}.*"):
        if time.time() - leftover.stat().st_mtime > LEFTOVER_S:
            shutil.rmtree(leftover, ignore_errors=True)


def _read(place: Path) -> Entry:
    content = read_json(place / "entry.json")
    try:
        files = {
            role: {key: file[key] for key in ("file", "sha256", "bytes")} for role, file in content["files"].items()
        }
        return Entry(content["kind"], content["digest"], content["name"], files, content["kept"], place)
    except (KeyError, TypeError, AttributeError):
        raise DasError(f"{place / 'entry.json'}: is no entry of the store") from None


def _faults(entry: Entry) -> Iterator[str]:
    if entry.digest != entry.folder.name:
        yield f"holds the entry {entry.digest}"
    for file in entry.files.values():
        path = entry.folder / Path(file["file"]).name
        try:
            if _sha256(path) != file["sha256"]:
                yield f"{path.name} is not what was kept"
        except OSError as error:
            yield f"{path.name} cannot be read ({error.strerror})"


def _copy(source: Path, target: Path) -> None:
    """The file once more: a large one as a reflink or a hard link where the file system can."""
    if source.stat().st_size >= LINKED:
        if _reflink(source, target):
            return
        try:
            os.link(source.resolve(), target)
            return
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
                raise
    shutil.copyfile(source, target)


def _reflink(source: Path, target: Path) -> bool:
    try:
        with source.open("rb") as read, target.open("wb") as write:
            fcntl.ioctl(write.fileno(), FICLONE, read.fileno())
        return True
    except OSError:
        target.unlink(missing_ok=True)
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
