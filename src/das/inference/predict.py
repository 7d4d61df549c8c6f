"""What a model says of pictures in files."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from das.data import decode
from das.inference.pictures import find, framing_of, read
from das.tasks.classification import DasModel


@dataclass(frozen=True)
class Prediction:
    """What a model says of one picture, or why it could say nothing.

    Attributes:
        shares: of each class, (K,) in [0, 1], sum 1: its probability, or of a segmentation its part of the pixels.
        dense: whether it is a segmentation's.
        labels: the label map of a segmentation, uint8 (H, W) in the picture's own size.
        error: why the picture could not be read; shares and labels are None then.
    """

    file: Path
    classes: Sequence[str]
    dense: bool = False
    shares: Tensor | None = None
    labels: Tensor | None = None
    error: str | None = None

    @property
    def label(self) -> str | None:
        """The class with the largest share."""
        return None if self.shares is None else self.classes[int(self.shares.argmax())]

    @property
    def sentence(self) -> str:
        """The answer for people: the class and its probability, or the largest parts of the picture."""
        if self.shares is None:
            return f"cannot be read ({self.error})"
        best = self.shares.argsort(descending=True)[: 3 if self.dense else 1].tolist()
        return ", ".join(f"{self.classes[k]} {self.shares[k]:.1%}" for k in best if self.shares[k] > 0)


def predict(
    model: DasModel, paths: Iterable[str | Path], *, batch_size: int = 64, workers: int | None = None
) -> Iterator[Prediction]:
    """Yield what ``model`` (in evaluation, on its device) says of each picture that ``paths`` name (`find`), in order.

    Pictures are framed as the model's test framed its own and decoded ahead by ``workers`` threads; a segmentation
    reads one at a time, in its own size. A picture that cannot be read is a prediction that says so.

    Raises DasError, at once, for paths that name nothing and for a model that does not know its framing.
    """
    files = find(paths)
    size = 1 if framing_of(model).size is None else batch_size
    return _predictions(model, files, size, workers)


def _predictions(model: DasModel, files: list[Path], size: int, workers: int | None) -> Iterator[Prediction]:
    waiting: list[tuple[Path, Tensor | decode.Damaged]] = []
    for item in zip(files, read(files, model, ahead=2 * size + 2, workers=workers), strict=True):
        waiting.append(item)
        if len(waiting) == size:
            yield from _batch(model, waiting)
            waiting = []
    yield from _batch(model, waiting)


def _batch(model: DasModel, items: Sequence[tuple[Path, Tensor | decode.Damaged]]) -> Iterator[Prediction]:
    good = [picture for _, picture in items if isinstance(picture, Tensor)]
    said = iter(_said(model, torch.stack(good)) if good else ())
    for file, picture in items:
        if isinstance(picture, Tensor):
            shares, labels = next(said)
            yield Prediction(file, model.classes, labels is not None, shares, labels)
        else:
            yield Prediction(file, model.classes, error=str(picture).removeprefix(f"{file}: "))


@torch.no_grad()
def _said(model: DasModel, pictures: Tensor) -> Iterator[tuple[Tensor, Tensor | None]]:
    """(shares, labels) of each picture of a batch, uint8 (B, C, H, W)."""
    images = pictures.to(next(model.parameters()).device).float() / 255
    logits = model.predict(images.contiguous())
    if logits.ndim == 2:
        return iter([(shares, None) for shares in logits.softmax(1).cpu()])
    maps = logits.argmax(1).to(torch.uint8).cpu()
    counts = (torch.bincount(labels.flatten(), minlength=len(model.classes)) for labels in maps)
    return iter([(count / count.sum(), labels) for count, labels in zip(counts, maps, strict=True)])


def table(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """A row a picture: ``file``, ``error`` (empty where there was none); of a classifier ``prediction`` and its
    ``probability``; then of each class its probability ``p_CLASS`` or, of a segmentation, its ``share_CLASS``."""
    rows: list[dict[str, Any]] = []
    for said in predictions:
        row: dict[str, Any] = {"file": str(said.file), "error": said.error or ""}
        if said.shares is not None:
            if not said.dense:
                row |= {"prediction": said.label, "probability": float(said.shares.max())}
            prefix = "share" if said.dense else "p"
            names = [f"{prefix}_{name}" for name in said.classes]
            row |= dict(zip(names, said.shares.tolist(), strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def summary(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """By class, of the pictures that could be read: the ``pictures`` that it was said of (of a segmentation, that hold
    it), and its mean ``share, %``: probability, or part of the pixels."""
    good = [said for said in predictions if said.shares is not None]
    classes = list(good[0].classes) if good else []
    shares = torch.stack([s.shares for s in good if s.shares is not None]) if good else torch.zeros(0, 0)
    holds = shares > 0 if good and good[0].dense else shares == shares.amax(-1, keepdim=True) if good else shares
    index = pd.Index(classes, name="class")
    return pd.DataFrame({"pictures": holds.sum(0).tolist(), "share, %": (100 * shares.mean(0)).tolist()}, index)


def documents(predictions: Sequence[Prediction]) -> list[dict[str, Any]]:
    """The same for JSON: ``file``, and ``error`` or ``prediction`` and ``shares`` by class."""
    return [
        {"file": str(said.file), "error": said.error}
        if said.shares is None
        else {
            "file": str(said.file),
            "prediction": said.label,
            "shares": dict(zip(said.classes, said.shares.tolist(), strict=True)),
        }
        for said in predictions
    ]
