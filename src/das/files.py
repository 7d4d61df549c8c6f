"""Files that are either whole or not there, and whose bytes depend on nothing but their content."""

import fcntl
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from das.errors import DasError

LEFTOVER_S = 3600  # a file beside its place that is older was left by a kill


def publish(path: str | Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` in one step: beside it first, then renamed. Makes the folders on the way.

    Raises DasError where the folder cannot be written.
    """
    path = Path(path)
    with replacing(path) as aside, aside.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to be written; what stands there afterwards takes its place in one step.

    Raises DasError where the folder cannot be written.
    """
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        try:
            yield aside
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise DasError(f"{path}: cannot be written ({error.strerror}); check permissions and free space") from None


def _tidy(path: Path) -> None:
    for leftover in path.parent.glob(f".{path.name}.*.part"):
        try:
            if time.time() - leftover.stat().st_mtime > LEFTOVER_S:
                leftover.unlink()
        except OSError:  # another process tidies, too
            continue


def publish_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON in one step; floats keep every digit, so equal content is equal bytes."""
    publish(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Return the JSON mapping in ``path``. Raises DasError for a missing or damaged file."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DasError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise DasError(f"{path}: is not valid JSON ({error}); delete it and make it again") from None
    if not isinstance(content, dict):
        raise DasError(f"{path}: holds {type(content).__name__}, not a JSON object; delete it and make it again")
    return content


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
    """Hold ``path`` as a lock while ``what`` is made. Raises DasError naming the process that holds it.

    Where the file system knows no locks, none is held.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = path.open("a+")
    except OSError as error:
        raise DasError(f"{path}: cannot be written ({error.strerror}); check permissions and free space") from None
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            raise DasError(f"{what}: {holder} is making it now; wait for it, or stop it first") from None
        except OSError:  # no locks here
            pass
        else:
            _sign(handle.fileno())
        yield


def _sign(lock: int) -> None:
    """Write into the lock who holds it."""
    try:
        os.ftruncate(lock, 0)
        os.write(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    except OSError:  # a full disk: it is held all the same
        return
