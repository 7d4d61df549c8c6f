"""JSON that vouches for itself: a seal is the SHA-256 of all else in the file, so an edit by hand is noticed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from das.errors import DasError
from das.files import read_json

SEAL = "seal"


def sealed(content: Mapping[str, Any]) -> str:
    """``content`` as indented JSON with its seal; floats keep every digit, so equal content is equal bytes."""
    return json.dumps({**content, SEAL: _seal(content)}, indent=1, allow_nan=False) + "\n"


def read_sealed(path: str | Path) -> dict[str, Any]:
    """Return the content of a sealed file. Raises DasError for one that is missing, damaged, or was changed."""
    content = read_json(path)
    if content.pop(SEAL, None) != _seal(content):
        raise DasError(f"{path}: was changed after it was made (its seal does not fit); delete it and make it again")
    return content


def _seal(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
