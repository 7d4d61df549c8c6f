"""Unpack archives whose members may mean harm."""

import errno
import gzip
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from das.errors import DasError

RATIO = 100  # an archive that unpacks to more than this many times its size is taken for a bomb
FLOOR = 64 << 20  # bytes that any archive may unpack to
LARGEST = 1 << 30  # bytes of one member, which is held in memory
MOST = 250_000  # members, about twice as many as the largest official archive has
HEADER = 1 << 20  # bytes that describe one member of a tar
DIRECTORY = 32 << 20  # bytes that describe all members of a zip
PIECE = 1 << 20


def members(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> Iterator[tuple[str, bytes]]:
    """Yield (name, content) of the ``wanted`` files in a .tar, .tar.gz, .tgz or .zip, in the archive's order.

    Raises DasError for a damaged archive and before reading a member that is not a plain file or folder below the
    archive's root (absolute path, `..`, link, device), that takes the total beyond what an honest archive holds, or
    that does not fit in memory.
    """
    total = 0
    if not path.exists():
        raise DasError(f"{path}: not found; fetch the data set first")
    if not path.is_file():
        raise DasError(f"{path}: is no file; should be an archive")
    try:
        limit = max(RATIO * path.stat().st_size, FLOOR)
        for count, (name, size, plain, read) in enumerate(_entries(path, limit)):
            pure = PurePosixPath(name.replace("\\", "/"))
            if not plain or not _inside(pure):
                raise DasError(
                    f"{path}: member {name[:200]!r} is a link, a device or outside the archive; not unpacked"
                )
            total += size
            if size < 0 or total > limit or count >= MOST:
                most = f"{limit >> 20} MiB" if count < MOST else f"{MOST} members"
                raise DasError(f"{path}: unpacks to more than {most} at {name[:200]!r}; taken for a bomb")
            if wanted(pure.as_posix()):
                if size > LARGEST:
                    raise DasError(f"{path}: {name[:200]!r} has {size >> 20} MiB; at most {LARGEST >> 20} are read")
                yield pure.as_posix(), read()
    except DasError:
        raise
    except Exception as error:  # a damaged archive can raise nearly anything
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: told to read before 0
            raise DasError(f"{path}: cannot be read ({error.strerror})") from None
        reason = str(error) or type(error).__name__
        raise DasError(f"{path}: damaged archive ({reason}); delete it and fetch again") from error


def _inside(name: PurePosixPath) -> bool:
    """Whether a name leads to a place below the archive's root, on every system."""
    text = name.as_posix()
    return (
        bool(name.parts)
        and not name.is_absolute()
        and ".." not in name.parts
        and text[1:2] != ":"
        and "\0" not in text
        and len(text) < 4096
        and all(len(part.encode(errors="surrogateescape")) < 256 for part in name.parts)
    )


def _entries(path: Path, limit: int) -> Iterator[tuple[str, int, bool, Callable[[], bytes]]]:
    """(name, unpacked size, whether it is a plain file, how to read it), folders left out."""
    return _zip_entries(path) if path.suffix == ".zip" else _tar_entries(path, limit)


def _zip_entries(path: Path) -> Iterator[tuple[str, int, bool, Callable[[], bytes]]]:
    with path.open("rb") as file:
        metered = _Metered(file, DIRECTORY)
        with zipfile.ZipFile(metered) as archive:
            metered.left = path.stat().st_size  # of a member, before it is unpacked
            for info in archive.infolist():
                if info.flag_bits & 1:
                    raise zipfile.BadZipFile(f"{info.filename!r} is encrypted")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile(f"{info.filename!r} is neither stored nor deflated")
                kind = info.external_attr >> 28  # the file type of a Unix mode: 0 unset, 8 regular, 4 folder
                if not info.is_dir():
                    yield info.filename, info.file_size, kind in (0, 8), partial(_unzipped, archive, metered, info)


def _unzipped(archive: zipfile.ZipFile, metered: "_Metered", info: zipfile.ZipInfo) -> bytes:
    metered.left = info.compress_size + HEADER
    with archive.open(info) as member:
        return _whole(member.read(info.file_size + 1), info.file_size)  # one more: at the end the CRC is compared


def _tar_entries(path: Path, limit: int) -> Iterator[tuple[str, int, bool, Callable[[], bytes]]]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        metered = _Metered(gzip.GzipFile(fileobj=file) if packed else file, HEADER)
        with tarfile.open(fileobj=metered, mode="r:") as archive:
            while True:
                metered.left = HEADER
                info = archive.next()
                if info is None:
                    break
                archive.members.clear()  # they are asked for once, and their headers may be large
                if archive.offset > 2 * limit or len(archive.pax_headers) > 100:
                    raise tarfile.ReadError("holds little but headers; taken for a bomb")
                if not info.isdir():
                    plain = info.isreg() and not info.issparse()
                    yield info.name, info.size, plain, partial(_untarred, archive, metered, info)
        if metered.last != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError("a member's header is damaged, or the end is missing")
        read = 0
        while read <= limit:  # to the end, where gzip compares its checksum
            metered.left = PIECE
            if not (piece := metered.read(PIECE)):
                return
            read += len(piece)
        raise tarfile.ReadError("holds little but padding; taken for a bomb")


def _untarred(archive: tarfile.TarFile, metered: "_Metered", info: tarfile.TarInfo) -> bytes:
    metered.left = info.size + HEADER
    content = archive.extractfile(info)
    return _whole(content.read() if content else b"", info.size)


def _whole(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise EOFError(f"a member has {len(content)} bytes instead of {size}")
    return content


class _Metered:
    """A binary file of which at most ``left`` bytes are read: descriptions of members are held in memory, and a file of
    kilobytes can hold descriptions of gigabytes. ``last`` is what was read last."""

    def __init__(self, file: BinaryIO, left: int):
        self.file, self.left, self.last = file, left, b""
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if size > self.left:
            raise EOFError(f"a header asks for {size} bytes")
        self.last = self.file.read(self.left + 1 if size < 0 else size)
        self.left -= len(self.last)
        if self.left < 0:
            raise EOFError("a header does not end")
        return self.last

    def seekable(self) -> bool:
        return True


def extract(path: Path, into: Path, place: Callable[[str], str | None] = lambda name: name) -> None:
    """Write the members of ``path`` below ``into``; `members` says what is refused. DasError where that is impossible.

    ``place`` maps a member's name to the path it shall have below ``into``, or None to leave it out.
    """
    for name, content in members(path, lambda name: place(name) is not None):
        target = into / str(place(name))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            raise DasError(f"{target}: cannot be written ({error.strerror})") from None


def make_room(folder: Path, *archives: Path) -> None:
    """DasError where ``folder``'s disk cannot hold ``archives`` unpacked (their packed size is the least it takes)."""
    need = sum(path.stat().st_size for path in archives if path.exists())
    free = shutil.disk_usage(folder).free
    if free < need:
        raise DasError(f"{folder}: has {free >> 20} MiB free, unpacking needs at least {need >> 20} MiB")
