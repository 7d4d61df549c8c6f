"""A table in its files: every digit as CSV, for reading as Markdown, for papers as LaTeX in a short and a full form."""

from collections.abc import Collection
from pathlib import Path

import pandas as pd

from das.analysis import latex
from das.files import publish

PLACE = ("Data set", "Backbone")  # columns that the caption takes where they are the same everywhere


def write(
    path: Path,
    exact: pd.DataFrame,
    readable: pd.DataFrame,
    *,
    caption: str,
    short: Collection[str],
    full: pd.DataFrame | None = None,
) -> None:
    """Write ``exact`` to PATH.csv, ``readable`` (of strings) to PATH.md, its columns ``short`` to PATH.tex, and
    ``full`` (``readable`` where there is none) to PATH_full.tex.

    Args:
        caption: of the LaTeX forms: a sentence that says what the numbers are.
    """
    place = {c: readable[c].iloc[0] for c in PLACE if c in readable and readable[c].nunique() == 1}
    named = ", ".join(place.values()) if len(readable) else "No entries."
    body = _without(readable, place)
    publish(path.with_suffix(".csv"), exact.to_csv(index=False))
    heading = f"{named}\n\n" if named else ""
    publish(path.with_suffix(".md"), f"{heading}{body.to_markdown(index=False, disable_numparse=True)}\n")
    caption = f"{caption} {named}".strip().removesuffix(".") + "."
    label = f"tab:{path.parent.name}:{path.name}"
    few = body[[column for column in body if column in short]]
    publish(path.with_suffix(".tex"), latex.table(few, caption, label))
    everything = _without(readable if full is None else full, place)
    publish(path.with_name(f"{path.name}_full.tex"), latex.table(everything, caption, f"{label}:full", latex.FULL))


def _without(table: pd.DataFrame, place: Collection[str]) -> pd.DataFrame:
    """The table without what its caption says, and without remarks where there are none."""
    return table.drop(columns=[*place, *(c for c in ["Remarks"] if c in table and not table[c].any())])
