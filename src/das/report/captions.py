"""Captions of tables and figures: captions/KIND_NAME.rst, for a name that begins with NAME; else captions/KIND.rst."""

from pathlib import Path

FOLDER = Path(__file__).parent / "captions"


def path(kind: str, name: str = "") -> Path:
    """The file of the caption of the ``kind`` (table, figure, page) called ``name``: the most particular there is."""
    parts = name.split("_")
    tries = (FOLDER / f"{'_'.join([kind, *parts[:count]])}.rst" for count in range(len(parts), 0, -1))
    return next((found for found in tries if name and found.exists()), FOLDER / f"{kind}.rst")


def text(kind: str, name: str = "") -> str:
    """The caption in one line."""
    return " ".join(path(kind, name).read_text().split())
