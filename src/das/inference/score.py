"""A model's test on a folder whose sub-folders say what the pictures show."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from das.analysis.style import STYLE
from das.data.readers.pairs import matched
from das.data.sets import FileSet
from das.errors import DasError
from das.inference.pictures import find
from das.inference.predict import Prediction, predict
from das.tasks.classification import Accuracy, DasModel

READABLE = 20  # classes whose cells are written out
Watch = Callable[[Iterable[Prediction], int], Iterable[Prediction]]


@dataclass(frozen=True)
class Scores:
    """How predicted classes meet the true ones.

    Attributes:
        confusion: int64 (K, K), pictures (of a segmentation pixels) by true class (row) and predicted class (column).
        bins: of a classifier, (B, 3): pictures, hits and summed confidence of each bin of confidence
            (`das.tasks.classification.Accuracy`); None of a segmentation.
        unread: a line for each picture that could not be read.
    """

    classes: tuple[str, ...]
    confusion: np.ndarray
    bins: np.ndarray | None = None
    unread: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Pictures or pixels."""
        return int(self.confusion.sum())

    @property
    def accuracy(self) -> float:
        """The share of what is predicted right, in [0, 1]."""
        return float(self.confusion.trace() / self.count)

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that there are pictures of, in [0, 1]."""
        return float(self.per_class().recall.mean())

    @property
    def mean_iou(self) -> float:
        """Mean intersection over union of the classes that are there or predicted, in [0, 1]."""
        return float(self.per_class().iou.mean())

    def per_class(self) -> pd.DataFrame:
        """By class: ``count``, ``recall``, ``precision``, ``f1`` and ``iou`` in [0, 1], NaN for 0 / 0."""
        right, true, predicted = self.confusion.diagonal(), self.confusion.sum(1), self.confusion.sum(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return pd.DataFrame(
                {
                    "count": true,
                    "recall": right / true,
                    "precision": right / predicted,
                    "f1": 2 * right / (true + predicted),
                    "iou": right / (true + predicted - right),
                },
                index=pd.Index(self.classes, name="class"),
            )

    def confusion_table(self) -> pd.DataFrame:
        """`confusion` with names: true classes are rows."""
        return pd.DataFrame(self.confusion, pd.Index(self.classes, name="true class"), list(self.classes))

    def reliability(self) -> pd.DataFrame:
        """By bin of confidence that holds pictures: ``count``, mean ``confidence`` and ``accuracy`` in [0, 1]."""
        if self.bins is None:
            raise DasError("calibration: is measured of classifiers, whose answers have one confidence a picture")
        count, hits, confidence = self.bins[self.bins[:, 0] > 0].T
        table = pd.DataFrame({"confidence": confidence / count, "accuracy": hits / count, "count": count.astype(int)})
        return table.set_index(pd.Index(np.flatnonzero(self.bins[:, 0]), name="bin"))

    @property
    def calibration_error(self) -> float:
        """Expected calibration error, in [0, 1]: by how much confidence and accuracy differ in a bin, weighted by its
        pictures (Guo et al. 2017, equation 3)."""
        bins = self.reliability()
        return float((bins["count"] * (bins.accuracy - bins.confidence).abs()).sum() / bins["count"].sum())

    def summary(self) -> dict[str, Any]:
        """The numbers that stand for the whole test."""
        found: dict[str, Any] = {"accuracy": self.accuracy, "balanced_accuracy": self.balanced_accuracy}
        if self.bins is None:
            return {"pixels": self.count, "mean_iou": self.mean_iou, **found}
        return {"pictures": self.count, **found, "calibration_error": self.calibration_error}


def document(scores: Scores) -> dict[str, Any]:
    """All of it for JSON; what is no number (0 / 0) is null."""

    def plain(table: pd.DataFrame) -> dict[str, Any]:
        return {str(k): {n: None if v != v else v for n, v in row.items()} for k, row in table.to_dict("index").items()}

    found = scores.summary() | {"classes": plain(scores.per_class()), "confusion": scores.confusion.tolist()}
    if scores.bins is not None:
        found["reliability"] = [*plain(scores.reliability()).values()]
    return found | {"unread": list(scores.unread)}


def score(
    model: DasModel,
    folder: str | Path,
    *,
    batch_size: int = 64,
    watch: Watch = lambda said, total: said,
) -> Scores:
    """Test ``model`` (in evaluation, on its device) on a folder.

    Of a classifier: ``folder``/CLASS/* for classes of the model; those without a folder are not tested. Of a
    segmentation: ``folder``/images/NAME.* beside ``folder``/masks/NAME.png. Where ``folder`` is divided into train and
    test, test is taken. ``watch`` is given predictions and their number, and passes them on.

    Raises DasError for a folder of another form, one that names classes which the model does not know, pictures of
    which none can be read, and a mask that does not fit.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DasError(f"{folder}: no such folder; a test needs one folder a class, or images/ beside masks/")
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        folder = folder / "test"
    if model.metric == "miou":
        return _dense(model, folder)
    return _labeled(model, folder, batch_size, watch)


def _labeled(model: DasModel, folder: Path, batch_size: int, watch: Watch) -> Scores:
    known = {name: label for label, name in enumerate(model.classes)}
    folders = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith((".", "__")))
    strange = [f.name for f in folders if f.name not in known]
    if strange or not folders:
        found = f"the folders {', '.join(strange[:5])}" if strange else "no folders"
        allowed = ", ".join(model.classes[:10]) + (", …" if len(known) > 10 else "")
        raise DasError(f"{folder}: holds {found}; they should be named after the model's classes: {allowed}")
    truth = {file: known[part.name] for part in folders for file in find([part])}
    said = list(watch(predict(model, truth, batch_size=batch_size), len(truth)))
    good = [one for one in said if one.shares is not None]
    unread = tuple(f"{one.file}: {one.error}" for one in said if one.error)
    if not good:
        raise DasError(f"{folder}: none of {len(said)} pictures can be read: {unread[0]}")
    labels = torch.tensor([truth[one.file] for one in good])
    shares = torch.stack([one.shares for one in good if one.shares is not None]).double()
    counted = Accuracy()
    counted.add(shares.clamp_min(torch.finfo(shares.dtype).tiny).log(), labels)
    cells = torch.bincount(labels * len(known) + shares.argmax(1), minlength=len(known) ** 2)
    return Scores(model.classes, cells.view(len(known), -1).numpy(), counted.bins.numpy(), unread)


@torch.no_grad()
def _dense(model: DasModel, folder: Path) -> Scores:
    files = find([folder / "images"])
    masks = [folder / "masks" / f"{file.stem}.png" for file in files]
    listed = matched(folder, files, masks, 1, model.classes)
    assert isinstance(listed, FileSet)
    device = next(model.parameters()).device
    counted = model.score(device)
    for images, labels in model.batches(listed, 1, device).epoch():
        counted.add(model.predict(images), labels)
    return Scores(model.classes, counted.confusion.cpu().numpy())  # type: ignore[attr-defined]


def figure(scores: Scores, title: str | None = None) -> Figure:
    """The confusion matrix, row by row in percent of the true class; recall and precision (of a segmentation IoU) by
    class; and the reliability diagram of a classifier."""
    panels = 2 + (scores.bins is not None)
    side = min(9.0, 2.2 + 0.32 * len(scores.classes))
    with mpl.rc_context(STYLE):
        chart = Figure(figsize=(side + 0.8 + 3.4 * (panels - 1), max(3.4, side)), layout="constrained")
        matrix, bars, *rest = chart.subplots(1, panels, width_ratios=[side, *[3.0] * (panels - 1)])
        _matrix(matrix, scores)
        _bars(bars, scores, ("iou", "recall") if scores.bins is None else ("recall", "precision"))
        for axis in rest:
            _reliability(axis, scores)
        if title:
            chart.suptitle(title)
    return chart


def _matrix(axis: Axes, scores: Scores) -> None:
    with np.errstate(invalid="ignore"):
        percent = 100 * scores.confusion / scores.confusion.sum(1, keepdims=True)
    axis.imshow(percent, cmap="Blues", vmin=0, vmax=100)
    places = range(len(scores.classes))
    axis.set_xticks(places, scores.classes, rotation=90, fontsize=7)
    axis.set_yticks(places, scores.classes, fontsize=7)
    axis.set(xlabel="predicted", ylabel="true class", title="Of a true class, % predicted as")
    if len(scores.classes) <= READABLE:
        for row, column in zip(*np.nonzero(scores.confusion), strict=True):
            tone = "white" if percent[row, column] > 50 else "black"
            text = f"{percent[row, column]:.0f}"
            axis.text(column, row, text, ha="center", va="center", fontsize=7, color=tone)


def _bars(axis: Axes, scores: Scores, columns: Sequence[str]) -> None:
    table = scores.per_class()
    places, height = np.arange(len(table)), 0.8 / len(columns)
    for number, column in enumerate(columns):
        label = "IoU" if column == "iou" else column
        axis.barh(places + (number - (len(columns) - 1) / 2) * height, 100 * table[column], height, label=label)
    axis.set_yticks(places, scores.classes, fontsize=7)
    axis.invert_yaxis()
    axis.set(xlim=(0, 100), xlabel="%", title="By class")
    axis.legend(fontsize=7, loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=2)


def _reliability(axis: Axes, scores: Scores) -> None:
    bins = scores.reliability()
    width = 1 / Accuracy.BINS
    places = (bins.index.to_numpy() + 0.5) * width
    axis.plot([0, 1], [0, 1], ls=":", color="0.5")
    axis.bar(places, bins.accuracy, width, color="tab:blue", alpha=0.6, edgecolor="white")
    axis.plot(bins.confidence, bins.accuracy, "o", color="black", ms=3)
    for place, count in zip(places, bins["count"], strict=True):
        axis.text(place, 0.01, str(count), rotation=90, ha="center", va="bottom", fontsize=6, color="0.2")
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence (numbers: pictures)", ylabel="accuracy")
    axis.set_title(f"Expected calibration error {100 * scores.calibration_error:.1f} %")
