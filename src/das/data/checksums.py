"""Checksums of files."""

import hashlib
from pathlib import Path

from das.errors import DasError


def checksum(path: Path, algorithm: str = "sha256") -> str:
    """Hex digest of the file's content, read once in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def verify_listed(path: Path, *, remake: str) -> bytes:
    """Return the content of ``path`` if the SHA256SUMS beside it lists just this content.

    DasError names the file, both checksums, and ``remake``, the script that makes the file again.
    """
    sums = path.with_name("SHA256SUMS")
    try:
        listed = dict(reversed(line.split(maxsplit=1)) for line in sums.read_text().splitlines())
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise DasError(f"{error.filename or sums}: missing or unreadable; make it again with {remake}") from error
    found, expected = hashlib.sha256(content).hexdigest(), listed.get(path.name)
    if found != expected:
        raise DasError(f"{path}: has SHA-256 {found}, expected {expected}; make it again with {remake}")
    return content
