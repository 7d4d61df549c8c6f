"""Fetch the files of a data set: resumed, retried, verified, and named only when whole."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import yaml
from tqdm import tqdm

from das.data.checksums import checksum
from das.errors import DasError

PIECE = 1 << 20
SPARE = 64 << 20  # bytes to leave free on the disk
PASSING = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses worth another try


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


def sources(dataset: str, table: Path, overrides: Mapping[str, Mapping] | None = None) -> list[Source]:
    """Return the files of ``dataset`` in ``table`` (data/sources.yaml).

    ``overrides`` maps file names to fields of `Source`. A new url alone is a mirror: size and checksums stay in
    force. Checksums given there replace the official ones and the size.
    """
    entry = yaml.safe_load(table.read_text()).get(dataset)
    if entry is None:
        raise DasError(f"{table}: lists no data set {dataset!r}; nothing can be fetched for it")
    known = {field.name for field in fields(Source)} - {"name", "page"}
    result = []
    overrides = dict(overrides or {})
    for name, listed in entry["files"].items():
        changed = dict(overrides.pop(name, {}))
        if unknown := set(changed) - known:
            raise DasError(f"sources.{name}.{min(unknown)}: unknown key; use {', '.join(sorted(known))}")
        if {"md5", "sha256"} & set(changed):
            listed = {key: listed[key] for key in listed if key not in ("md5", "sha256", "size")}
        result.append(Source(name=name, page=entry.get("page"), **{**listed, **changed}))
    if overrides:
        raise DasError(f"sources.{min(overrides)}: {dataset} has no such file; it has {', '.join(entry['files'])}")
    return result


def fetch(
    dataset: str,
    folder: Path,
    *,
    table: Path = Path("data/sources.yaml"),
    overrides: Mapping[str, Mapping] | None = None,
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
    twice as long each time; ``timeout`` seconds of silence end an attempt.
    """
    path = folder / source.name
    if path.exists():
        _verify(path, source)
        return path
    if urlsplit(source.url or "").scheme not in ("http", "https", "file"):
        raise DasError(f"{source.name}: url {source.url!r} must begin with http://, https:// or file://")
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _continue(source, part, timeout)
            break
        except (OSError, HTTPException) as error:
            if not _passing(error):
                raise DasError(f"{source.name}: {source.url} cannot be had ({_reason(error)})") from error
            failures = 0 if _size(part) > before else failures + 1
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


def _continue(source: Source, part: Path, timeout: float) -> None:
    """Download from where ``part`` ends until the file is whole; OSError where the connection ends before that."""
    have = _size(part)
    if source.size is not None and have >= source.size:
        return
    request = Request(source.url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urlopen(request, timeout=timeout)
    except HTTPError as error:
        if error.code == 416 and have:  # the server's file ends here: whole, if the checksum says so
            return
        raise
    with answer:
        resumed = answer.status == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        start = have if resumed else 0
        length = answer.headers.get("Content-Length")
        total = start + int(length) if length is not None else source.size
        if source.size is not None and total != source.size:
            raise DasError(f"{source.name}: {source.url} offers {total} bytes, expected {source.size}; name a mirror")
        _make_room(part, (total or 0) - start)
        with (
            part.open("ab" if resumed else "wb") as file,
            tqdm(desc=source.name, total=total, initial=start, unit="B", unit_scale=True, disable=None) as bar,
        ):
            while piece := answer.read(PIECE):
                file.write(piece)
                bar.update(len(piece))
    if total is not None and _size(part) != total:
        raise ConnectionError(f"connection closed after {_size(part)} of {total} bytes")


def _verify(path: Path, source: Source) -> None:
    if source.size is not None and _size(path) != source.size:
        raise DasError(f"{path}: has {_size(path)} bytes, expected {source.size}; delete it and fetch again")
    for algorithm in ("md5", "sha256"):
        expected = getattr(source, algorithm)
        if expected and (found := checksum(path, algorithm)) != expected:
            raise DasError(f"{path}: has {algorithm} {found}, expected {expected}; delete it and fetch again")


def _make_room(path: Path, need: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < need + SPARE:
        raise DasError(f"{path.parent}: has {free >> 20} MiB free, {path.name} needs {(need + SPARE) >> 20} MiB")


def _passing(error: Exception) -> bool:
    """Whether another try may succeed."""
    if isinstance(error, HTTPError):
        return error.code in PASSING
    reason = error.reason if isinstance(error, URLError) else error
    return not isinstance(reason, (FileNotFoundError, PermissionError, IsADirectoryError)) and not (
        isinstance(reason, OSError) and reason.errno == 28  # no space left on the device
    )


def _reason(error: Exception) -> str:
    return f"HTTP {error.code} {error.reason}" if isinstance(error, HTTPError) else str(error) or type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
