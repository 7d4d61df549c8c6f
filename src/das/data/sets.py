"""What readers return: images with labels, in memory, and the two splits of a data set."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from das.data import splits
from das.errors import DasError


@dataclass(frozen=True)
class ImageSet:
    """Images of one size in memory: ``images`` uint8 (N, C, H, W), ``labels`` int64 (N,) in [0, classes)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        return tuple(self.images.shape[1:])

    @property
    def strata(self) -> Tensor:
        """What a stratified split keeps balanced, int64 (N,): here the labels."""
        return self.labels

    def subset(self, indices: Tensor) -> "ImageSet":
        """The images at ``indices`` (int64), in their order."""
        return ImageSet(self.images[indices], self.labels[indices])

    def to(self, device: torch.device | str) -> "ImageSet":
        """The same set on ``device``; no copy where it is there already."""
        return ImageSet(self.images.to(device), self.labels.to(device))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of shape, pixels and labels."""
        sha = hashlib.sha256(str(tuple(self.images.shape)).encode())
        for part in (self.images, self.labels):
            sha.update(memoryview(part.cpu().contiguous().numpy()).cast("B"))
        return sha.hexdigest()


class Dataset:
    """Training and test set of one data set, each read when first asked for, and the names of its classes.

    ``read("train")`` and ``read("test")`` return the sets; ``per_class`` limits each to that many images a class, the
    same ones in every run (drawn from ``name`` alone).
    """

    def __init__(
        self, name: str, read: Callable[[str], ImageSet], classes: tuple[str, ...], per_class: dict[str, int | None]
    ):
        self.name = name
        self.classes = classes
        self._read = read
        self._per_class = per_class

    @cached_property
    def train(self) -> ImageSet:
        return self._part("train")

    @cached_property
    def test(self) -> ImageSet:
        return self._part("test")

    @property
    def digest(self) -> str:
        """SHA-256 of both sets and the class names."""
        text = "\n".join((self.train.digest, self.test.digest, *self.classes))
        return hashlib.sha256(text.encode()).hexdigest()

    def _part(self, split: str) -> ImageSet:
        whole = self._read(split)
        limit = self._per_class.get(split)
        if limit is None:
            return whole
        counts = torch.bincount(whole.strata, minlength=len(self.classes))
        if counts.min() < limit:
            poorest = self.classes[int(counts.argmin())]
            raise DasError(
                f"options.{split}_per_class: {limit} is more than the {int(counts.min())} {split} images of class "
                f"{poorest!r} in {self.name}; use at most {int(counts.min())}"
            )
        return whole.subset(splits.per_class(whole.strata, limit, self.name, split))
