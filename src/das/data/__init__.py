"""Data: readers, downloads, splits, and batches on the device. Importing the package costs no torch."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from das.data.names import check_options, reader_named


def of_study(study, name: str):
    """Return the `das.data.sets.Dataset` that ``study`` (`das.config.Study`) calls ``name``; its card is kept under
    results/data. Raises DasError as `load` does."""
    settings = study.datasets[name]
    dataset = load(settings.reader, root=Path(settings.folder), options=settings.options)
    dataset.card = Path("results/data") / f"{name}.json"
    return dataset


def load(reader: str, *, root: Path | None = None, options: Mapping | None = None):
    """Return the `das.data.sets.Dataset` that the reader finds under ``root``.

    ``reader`` is a key of `das.data.names.READERS`; ``root`` the folder (for ``arrays`` the file) that holds the data
    set, by default the reader's own; ``options`` what that reader allows. Training and test images are read when
    first asked for, each by itself: what never touches ``.test`` never opens the test files.

    Raises DasError for an unknown reader or option and for files that are missing, damaged or malformed.
    """
    known = reader_named(reader)
    options = check_options(reader, options or {})
    root = Path(known.root if root is None else root)
    return import_module(f"das.data.readers.{known.module}").read(reader, root, options)
