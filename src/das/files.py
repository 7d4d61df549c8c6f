"""Files that are either whole or not there, and whose bytes depend on nothing but their content."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from das.errors import DasError


def publish(path: str | Path, content: bytes | str) -> None:
    """Write ``content`` to ``path`` in one step: beside it first, then renamed. Makes the folders on the way.

    Raises DasError where the folder cannot be written.
    """
    path = Path(path)
    aside = path.with_name(f".{path.name}.part")  # one that a kill left behind is written over
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with aside.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        raise DasError(f"{path}: cannot be written ({error.strerror}); check permissions and free space") from None


def publish_json(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write ``content`` as indented JSON in one step; floats keep every digit, so equal content is equal bytes."""
    publish(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Return the JSON mapping in ``path``. Raises DasError for a missing or damaged file."""
    try:
        content = json.loads(Path(path).read_text())
    except OSError as error:
        raise DasError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:
        raise DasError(f"{path}: is not valid JSON ({error}); delete it and make it again") from None
    if not isinstance(content, dict):
        raise DasError(f"{path}: holds {type(content).__name__}, not a JSON object; delete it and make it again")
    return content
