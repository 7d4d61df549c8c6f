"""An archive of images where a folder of them is expected."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from das.data import archives
from das.errors import DasError
from das.study.runs import RESULTS
from das.study.sources import FOREIGN

SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
PLACE = RESULTS / "work" / "unpacked"


def is_archive(path: Path) -> bool:
    """Whether ``path`` is a file; DasError for one that `das.data.archives` does not read."""
    if path.is_file() and not path.name.lower().endswith(SUFFIXES):
        raise DasError(f"{path}: is no folder of images, and no archive of one ({', '.join(SUFFIXES)})")
    return path.is_file()


def folder_of(path: Path) -> Path:
    """``path`` itself; of an archive, the folder below results/work to which it is unpacked, once.

    Where all members lie in one folder, that folder. Raises DasError for what `das.data.archives.members` refuses.
    """
    if not is_archive(path):
        return path
    stat = path.stat()
    identity = f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"
    into = PLACE / hashlib.sha256(identity.encode()).hexdigest()[:16]
    if not into.is_dir():
        PLACE.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".", dir=PLACE))
        try:
            unpack(path, aside)
            if not into.is_dir():  # another process may have been faster
                aside.rename(into)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return _inner(into)


@contextmanager
def for_a_while(path: Path) -> Iterator[Path]:
    """`folder_of`, in a place that is cleared away afterwards."""
    if not is_archive(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as place:
        unpack(path, Path(place))
        yield _inner(Path(place))


def unpack(path: Path, into: Path) -> None:
    """Unpack an archive of images into the folder ``into``, hidden and foreign members left out."""
    archives.make_room(into, path)

    def place(name: str) -> str | None:
        parts = Path(name).parts
        return None if any(part.startswith(".") or part in FOREIGN for part in parts) else name

    try:
        archives.extract(path, into, place)
    except OSError as error:
        raise DasError(f"{path}: cannot be unpacked into {into} ({error.strerror or error})") from None


def _inner(folder: Path) -> Path:
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
