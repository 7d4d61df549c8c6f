"""Sets that must be unpacked before they can be read: how that is done whole or not at all."""

import shutil
from collections.abc import Callable
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from das.data import decode
from das.errors import DasError
from das.files import publish_json, read_json
from das.study import registry

MARK = "prepared.json"


def prepare(reader: str, root: Path | None = None) -> Path:
    """Unpack and check what was fetched into ``root``; return the path of the mark that is written last.

    A set that is read from its files as they are needs nothing: its mark is written at once.
    Raises DasError for archives that are missing, damaged or hostile; nothing half-made is left in use.
    """
    known = registry.lookup("reader", reader)
    if known.facts.get("root") is None and root is None:
        raise DasError(f"{reader}: reads files of your own; there is nothing to prepare")
    root = Path(known.facts["root"] if root is None else root)
    (root / MARK).unlink(missing_ok=True)
    if known.facts.get("prepared"):
        try:
            import_module(known.target.partition(":")[0]).prepare(root)
        except OSError as error:
            raise DasError(f"{error.filename or root}: cannot be written or read ({error.strerror})") from error
    else:
        seal(reader, root)
    return root / MARK


def seal(reader: str, root: Path, **facts: Any) -> None:
    """Declare ``root`` prepared, with what the reader needs to know later."""
    publish_json(root / MARK, {"reader": reader, **facts})


def require(reader: str, root: Path) -> dict[str, Any]:
    """Return the facts that `seal` wrote; DasError where the set is not prepared."""
    if not (root / MARK).is_file():
        raise DasError(f"{root}: {reader} is not prepared here; fetch and prepare it first")
    facts = read_json(root / MARK)
    if facts.get("reader") != reader:
        raise DasError(
            f"{root / MARK}: holds {facts.get('reader')!r}, not {reader!r}; give each data set its own folder"
        )
    return facts


@contextmanager
def folder(path: Path):
    """Yield a folder to fill, which becomes ``path`` when all went well."""
    part = path.with_name(path.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    shutil.rmtree(path, ignore_errors=True)
    part.rename(path)


def damaged(root: Path, files: list[Path], check: Callable[[bytes, Path], Any] = decode.image) -> list[str]:
    """Decode every file once; return the paths below ``root`` of those that cannot be."""
    results = decode.attempt(lambda file: check(file.read_bytes(), file) is None, files)
    bad = [file for file, result in zip(files, results, strict=True) if isinstance(result, decode.Damaged)]
    return [file.relative_to(root).as_posix() for file in bad]


def drop_damaged(files: list[Path], root: Path, bad: list[str], how: str) -> list[int]:
    """Return the positions of the files to use, those in ``bad`` being skipped or refused as ``how`` says."""
    gone = set(bad)
    results = [decode.Damaged(f"{f}: damaged") if f.relative_to(root).as_posix() in gone else True for f in files]
    return decode.settle(results, how)
