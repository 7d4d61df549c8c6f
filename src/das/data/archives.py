"""Unpack archives whose members may mean harm."""

import io
import pickle
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from das.errors import DasError

RATIO = 100  # an archive that unpacks to more than this many times its size is taken for a bomb
FLOOR = 64 << 20  # bytes that any archive may unpack to


def members(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the ``wanted`` files in a .tar, .tar.gz, .tgz or .zip, in the archive's order.

    Raises DasError for a damaged archive and before reading a member that is not a plain file or folder below the
    archive's root (absolute path, `..`, link, device), or that takes the total beyond what an honest archive holds.
    """
    total = 0
    try:
        limit = max(RATIO * path.stat().st_size, FLOOR)
        for name, size, plain, read in _entries(path):
            pure = PurePosixPath(name.replace("\\", "/"))
            if not plain or pure.is_absolute() or ".." in pure.parts or pure.as_posix()[1:2] == ":":
                raise DasError(f"{path}: member {name!r} is a link, a device or outside the archive; not unpacked")
            total += size
            if total > limit:
                raise DasError(f"{path}: unpacks to more than {limit >> 20} MiB at {name!r}; taken for a bomb")
            if wanted(pure.as_posix()):
                yield pure.as_posix(), read()
    except FileNotFoundError as error:
        raise DasError(f"{path}: not found; fetch the data set first") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # the disk's failure, not the archive's
        raise DasError(f"{path}: damaged archive ({error}); delete it and fetch again") from error


def _entries(path: Path) -> Iterator[tuple[str, int, bool, Callable[[], bytes]]]:
    """(name, unpacked size, whether it is a plain file, how to read it), folders left out."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                kind = info.external_attr >> 28  # the file type of a Unix mode: 0 unset, 8 regular, 4 folder
                if not info.is_dir():
                    yield info.filename, info.file_size, kind in (0, 8), lambda info=info: archive.read(info)
    else:
        with tarfile.open(path) as archive:
            for info in archive:
                if not info.isdir():
                    yield info.name, info.size, info.isreg(), lambda info=info: archive.extractfile(info).read()
            while archive.fileobj.read(1 << 20):  # to the end, where gzip compares its checksum
                pass


def extract(path: Path, into: Path, place: Callable[[str], str | None] = lambda name: name) -> None:
    """Write the members of ``path`` below ``into``; `members` says what is refused.

    ``place`` maps a member's name to the path it shall have below ``into``, or None to leave it out.
    """
    for name, content in members(path, lambda name: place(name) is not None):
        target = into / place(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def make_room(folder: Path, *archives: Path) -> None:
    """DasError where ``folder``'s disk cannot hold ``archives`` unpacked (their packed size is the least it takes)."""
    need = sum(path.stat().st_size for path in archives if path.exists())
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DasError(f"{folder}: has {free >> 20} MiB free, unpacking needs at least {need >> 20} MiB")


def loads(content: bytes, origin: str) -> Any:
    """Unpickle CIFAR's batches: numbers, text, bytes, lists, dicts and numpy arrays. DasError for anything else."""
    try:
        return _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except DasError as error:
        raise DasError(f"{origin}: {error}") from None
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise DasError(f"{origin}: not a readable pickle ({type(error).__name__}: {error})") from error


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): np._core.multiarray._reconstruct,
            ("_codecs", "encode"): _latin1,
        }
        if (module, name) not in allowed:
            raise DasError(f"hostile pickle: it asks for {module}.{name}; only arrays, lists and bytes are read")
        return allowed[module, name]


def _latin1(text: str, encoding: str) -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1":
        raise DasError(f"hostile pickle: it asks for the codec {encoding!r}; only arrays, lists and bytes are read")
    return text.encode("latin1")
