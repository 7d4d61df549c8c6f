"""What is measured of a training set rather than typed, and the card that keeps it from run to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from das.errors import DasError
from das.files import publish
from das.seals import read_sealed, sealed

if TYPE_CHECKING:
    from das.data.sets import FileSet, ImageSet

CHUNK = 128  # images in memory at a time


def card(path: Path, train: ImageSet | FileSet, classes: Sequence[str], made_from: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``path`` says of ``train``; where it says nothing, or something of other images, it is written anew.

    Keys: `classes`, their names; `images`, their number; `shape`, (C, H, W); `digest`, of images and labels;
    `made_from` as given, for `das.study.results.card_fault`; `mean` and `std`, per channel, of pixels in [0, 1].
    """
    facts = {"classes": list(classes), "images": len(train), "shape": list(train.shape), "digest": train.digest}
    facts["made_from"] = dict(made_from)
    try:
        if path.exists() and facts.items() <= (kept := read_sealed(path)).items():
            return kept
    except DasError as error:
        print(f"{error}; measured anew", flush=True)
    mean, std = mean_std(train)
    publish(path, sealed(made := facts | {"mean": mean.tolist(), "std": std.tolist()}))
    return made


def mean_std(images: ImageSet | FileSet) -> tuple[Tensor, Tensor]:
    """Return per-channel mean and standard deviation, float64 (C,), of all pixels on the scale [0, 1].

    Exact, from each channel's histogram of the 256 values. Of images in files, what evaluation sees counts.
    """
    counts = torch.zeros(images.shape[0], 256, dtype=torch.int64)
    for pixels, _ in images.chunks(torch.arange(len(images)).split(CHUNK)):
        for channel, count in enumerate(counts):
            count += torch.bincount(pixels[:, channel].flatten(), minlength=256).cpu()
    values = torch.arange(256, dtype=torch.float64) / 255
    share = counts.double() / counts.sum(1, keepdim=True)
    mean = share @ values
    return mean, (share @ values.square() - mean.square()).clamp_min(0).sqrt()
