"""Fetch the files of a data set: resumed, retried, verified, and named only when whole."""

import errno
import queue
import shutil
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener, url2pathname

from pydantic import ValidationError
from tqdm import tqdm

from das import yamlfile
from das.data.checksums import checksum
from das.errors import DasError
from das.study.registry import wanted
from das.study.schema import SourceFile

PIECE = 1 << 20
SPARE = 64 << 20  # bytes to leave free on the disk
UNSTATED = 1 << 30  # bytes that are taken of a file whose size neither its source nor its server states
SLOWEST = 1024  # bytes a second: a connection that brings less counts as silent
PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses worth another try
LASTING = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError, ssl.SSLCertVerificationError)
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


@dataclass(frozen=True)
class Source:
    """One file: where it is (None: behind ``page``, which asks for a login), its size in bytes, its checksums."""

    name: str
    url: str | None = None
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    optional: bool = False
    page: str | None = None


def sources(
    dataset: str, table: Path, overrides: Mapping[str, SourceFile | Mapping[str, Any]] | None = None
) -> list[Source]:
    """Return the files of ``dataset`` in ``table`` (data/sources.yaml).

    ``overrides`` maps file names to fields of `das.study.schema.SourceFile`. A new url alone is a mirror: size and
    checksums stay in force. Checksums given there replace the official ones and the size. Raises DasError for unknown
    names and values that cannot be.
    """
    listing = yamlfile.read(table)
    if not isinstance(listing, dict) or dataset not in listing:
        raise DasError(f"{table}: lists no data set {dataset!r}; nothing can be fetched for it")
    entry = listing[dataset]
    overrides = dict(overrides or {})
    if unknown := set(overrides) - set(entry["files"]):
        raise DasError(f"sources.{min(unknown)}: {dataset} has no such file; it has {', '.join(entry['files'])}")
    result = []
    for name, listed in entry["files"].items():
        official = _fields(f"{table}: {dataset}.files.{name}", listed)
        changed = _fields(f"sources.{name}", overrides.get(name, {}))
        if {"md5", "sha256"} & set(changed):
            official = {key: official[key] for key in official if key not in ("md5", "sha256", "size")}
        result.append(Source(name=name, page=entry.get("page"), **{**official, **changed}))
    return result


def _fields(where: str, given: SourceFile | Mapping[str, Any]) -> dict[str, Any]:
    """What is given of a file, checked; null is not given."""
    try:
        file = given if isinstance(given, SourceFile) else SourceFile.model_validate(given)
    except ValidationError as error:
        problem = error.errors()[0]
        key = ".".join(map(str, (where, *problem["loc"])))
        known = ", ".join(SourceFile.model_fields)
        told = f"unknown key; use {known}" if problem["type"] == "extra_forbidden" else wanted(problem)
        raise DasError(f"{key}: {told}") from None
    return file.model_dump(exclude_none=True, exclude_unset=True)


def fetch(
    dataset: str,
    folder: Path,
    *,
    table: Path = Path("data/sources.yaml"),
    overrides: Mapping[str, SourceFile | Mapping[str, Any]] | None = None,
    optional: bool = False,
    **how,
) -> list[Path]:
    """Bring all files of ``dataset`` into ``folder`` and return their paths; ``optional`` takes those marked so too.

    A file that lies there already is verified and used. ``how`` goes to `obtain`. Raises DasError naming the file
    and what to do: put it there by hand after a login, make room on the disk, try another source.
    """
    listed = [source for source in sources(dataset, table, overrides) if optional or not source.optional]
    absent = [source for source in listed if not source.url and not (folder / source.name).is_file()]
    if absent:
        raise DasError(
            f"{dataset}: needs a login; download {', '.join(s.name for s in absent)} from {absent[0].page} "
            f"into {folder} and run again"
        )
    return [obtain(source, folder, **how) for source in listed]


def obtain(source: Source, folder: Path, *, attempts: int = 5, pause: float = 1.0, timeout: float = 60.0) -> Path:
    """Return the path of ``source`` in ``folder``, whole and verified, downloading what is missing of it.

    Gives up after ``attempts`` in a row that brought nothing new, waiting ``pause`` seconds before the second and
    twice as long each time; ``timeout`` seconds of silence, or of less than `SLOWEST`, end an attempt. Raises DasError.
    """
    path = folder / source.name
    if path.exists():
        _verify(path, source)
        return path
    _check_url(source)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DasError(f"{folder}: cannot be made ({error.strerror}); data are fetched into it") from None
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _continue(source, part, timeout)
            break
        except (OSError, HTTPException, ValueError) as error:
            if not _passing(error):
                raise DasError(f"{source.name}: {source.url} cannot be had ({_reason(error)})") from error
            failures = 0 if _size(part) - before > SLOWEST * timeout else failures + 1
            if failures >= attempts:
                raise DasError(
                    f"{source.name}: {source.url} failed {attempts} times ({_reason(error)}); run again to resume "
                    f"at {_size(part)} bytes, or name a mirror"
                ) from error
            time.sleep(pause * 2 ** max(failures - 1, 0))
    try:
        _verify(part, source)
    except DasError:
        part.unlink()  # nothing of it can be trusted: the next try starts afresh
        raise
    part.rename(path)
    return path


def _check_url(source: Source) -> None:
    address = _fields(source.name, {"url": source.url}).get("url")
    if address is None:
        raise DasError(f"{source.name}: url is missing; should begin with http://, https:// or file://")
    if urlsplit(address).scheme == "file" and not (file := Path(url2pathname(urlsplit(address).path))).is_file():
        raise DasError(f"{source.name}: {address} cannot be had ({file} is no file)")


def _continue(source: Source, part: Path, timeout: float) -> None:
    """Download from where ``part`` ends until the file is whole; OSError where the connection ends before that."""
    have = _size(part)
    if have == source.size:
        return
    if source.size is not None and have > source.size:
        part.unlink()
        have = 0
    request = Request(str(source.url), headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = _opened(request, timeout)
    except HTTPError as error:
        if error.code == 416 and have:  # the server's file ends here: whole, if the checksum says so
            return
        raise
    with answer:
        resumed = answer.status == 206
        if resumed and not answer.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            raise ConnectionError("the server sent another part than was asked for")
        start = have if resumed else 0
        length = answer.headers.get("Content-Length", "")
        stated = start + int(length) if length.isascii() and length.isdigit() and len(length) < 16 else None
        if None not in (stated, source.size) and stated != source.size:
            raise DasError(f"{source.name}: {source.url} offers {stated} bytes, expected {source.size}; name a mirror")
        total = source.size if stated is None else stated
        _make_room(part, (total or 0) - start)
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(desc=source.name, total=total, initial=start, unit="B", unit_scale=True, disable=None) as bar,
        ):
            most = (UNSTATED if total is None else total) - start
            began, came, counted = time.monotonic(), 0, 0
            while piece := answer.read1(min(PIECE, most - came)):
                file.write(piece)
                bar.update(len(piece))
                came += len(piece)
                if total is None and came == most:
                    raise DasError(f"{source.name}: {source.url} does not end; state its size")
                if time.monotonic() - began > timeout:
                    if came - counted < SLOWEST * timeout:
                        raise ConnectionError(f"less than {SLOWEST} bytes a second")
                    began, counted = time.monotonic(), came
    if total is not None and _size(part) != total:
        raise ConnectionError(f"connection closed after {_size(part)} of {total} bytes")


def _opened(request: Request, timeout: float) -> Any:
    """The server's answer, once its headers are there; a header that drips never comes to an end by itself."""
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(build_opener(_Redirects).open(request, timeout=timeout))
        except Exception as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=2 * timeout)
    except queue.Empty:
        raise TimeoutError(f"no answer in {2 * timeout:g} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


class _Redirects(HTTPRedirectHandler):
    """Follows redirections, but never out of an encrypted connection."""

    def redirect_request(self, request, file, code, message, headers, address):  # type: ignore[no-untyped-def]
        scheme = urlsplit(address).scheme
        if scheme not in ("http", "https") or (request.type == "https" and scheme != "https"):
            raise HTTPError(request.full_url, code, f"leads from {request.type} to {address}", headers, file)
        return super().redirect_request(request, file, code, message, headers, address)


def _verify(path: Path, source: Source) -> None:
    try:
        if source.size is not None and _size(path) != source.size:
            raise DasError(f"{path}: has {_size(path)} bytes, expected {source.size}; delete it and fetch again")
        for algorithm in ("md5", "sha256"):
            expected = getattr(source, algorithm)
            if expected and (found := checksum(path, algorithm)) != expected:
                raise DasError(f"{path}: has {algorithm} {found}, expected {expected}; delete it and fetch again")
    except OSError as error:
        raise DasError(f"{path}: cannot be read ({error.strerror}); delete it and fetch again") from None


def _make_room(path: Path, need: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < need + SPARE:
        raise DasError(f"{path.parent}: has {free >> 20} MiB free, {path.name} needs {(need + SPARE) >> 20} MiB")


def _passing(error: Exception) -> bool:
    """Whether another try may succeed."""
    if isinstance(error, HTTPError):
        return error.code in PASSING
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ValueError) and not isinstance(reason, OSError):
        return False
    return not isinstance(reason, LASTING) and not (isinstance(reason, OSError) and reason.errno in FULL)


def _reason(error: Exception) -> str:
    text = f"HTTP {error.code} {error.reason}" if isinstance(error, HTTPError) else str(error)
    return " ".join(text.split())[:300] or type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
