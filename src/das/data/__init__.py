"""Data: readers, downloads, splits, and batches on the device. Importing the package costs no torch."""

from collections.abc import Mapping
from pathlib import Path

from das.study import registry
from das.study.results import card_path, card_source
from das.study.runs import data_of, require
from das.study.schema import Study


def of_study(study: Study, name: str, seed: int = 0):
    """Return the `das.data.sets.Dataset` that ``study`` calls ``name``, as runs with ``seed`` read it; its card is kept
    under results/data. Raises DasError as `load` does, and for a name that the study does not define."""
    require(study, datasets=name)
    settings = data_of(study, name, seed)
    dataset = load(settings.reader, root=Path(settings.folder), options=settings.options)
    dataset.planted = settings.planted
    dataset.card, dataset.made_from = card_path(study, name, seed), card_source(settings)
    return dataset


def load(reader: str, *, root: Path | None = None, options: Mapping | None = None):
    """Return the `das.data.sets.Dataset` that the reader finds under ``root``.

    ``reader`` is a name of `das.data.components` or ``package.module:attribute`` of one's own; ``root`` the folder (for
    ``arrays`` the file) that holds the data set, by default the reader's own; ``options`` what that reader allows.
    Training and test images are read when first asked for, each by itself: what never touches ``.test`` never opens the
    test files.

    Raises DasError for an unknown reader or option and for files that are missing, damaged or malformed.
    """
    entry = registry.lookup("reader", reader)
    options = entry.complete(options or {}, "options")
    dataset = entry.load()(reader, Path(entry.facts.get("root") if root is None else root), options)
    dataset.split = options.get("split")
    return dataset
