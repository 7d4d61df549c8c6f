"""The code that can change a result, as a fingerprint: comments, docstrings and line breaks do not count."""

import ast
import hashlib
import json
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from das.files import publish, read_json

PACKAGE = Path(__file__).parent.parent
CACHE = Path("results/work/code.json")
TRAINING = ("seeding.py", "data", "video", "models", "augment", "tasks", "engine")
SEARCH = (*TRAINING, "search")
LIBRARIES = ("torch", "torchvision", "numpy")

#: What of the package each kind of run is made by; tables, figures and the command line change no result.
PARTS = {
    "search": SEARCH,
    "policy": SEARCH,
    "training": TRAINING,
    "evaluation": TRAINING,
    "tuning": TRAINING,
    "measured search": (*SEARCH, "benchmark"),
}


@cache
def fingerprint(kind: str) -> str:
    """A hash of the code that makes runs of ``kind`` and of the libraries' versions that it computes with."""
    known = _known()
    found = {}
    for part in PARTS[kind]:
        for file in sorted((PACKAGE / part).rglob("*.py")) if (PACKAGE / part).is_dir() else [PACKAGE / part]:
            content = file.read_bytes()
            bits = hashlib.sha256(content).hexdigest()
            if bits not in known:
                known[bits] = hashlib.sha256(ast.dump(_bare(content)).encode()).hexdigest()
            found[file.relative_to(PACKAGE).as_posix()] = known[bits]
    _remember(known)
    text = json.dumps([found, {library: version_of(library) for library in LIBRARIES}], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _bare(content: bytes) -> ast.Module:
    """The syntax tree without docstrings."""
    tree = ast.parse(content)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list) or not body or not isinstance(body[0], ast.Expr):
            continue
        value = body[0].value
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            del body[0]
    return tree


def version_of(library: str) -> str | None:
    """The installed version; None where it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None


_kept = 0


def _known() -> dict[str, str]:
    """{SHA-256 of a file's bytes: SHA-256 of its bare tree}, from the last time: parsing all costs half a second."""
    global _kept
    try:
        known = read_json(CACHE) if CACHE.exists() else {}
    except Exception:  # a damaged cache is no fault of the caller's
        known = {}
    _kept = len(known)
    return known


def _remember(known: dict[str, str]) -> None:
    if len(known) > _kept and CACHE.parent.is_dir():
        try:
            publish(CACHE, json.dumps(known, indent=0))
        except Exception:  # kept for speed only
            return
