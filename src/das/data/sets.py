"""What readers return: images with labels, in memory or read as they are needed, and the two splits of a data set.

Both kinds of set have the same interface: ``len``, ``shape``, ``strata``, ``subset``, ``to``, ``digest``, and
``chunks``, through which `das.data.batches.Batches` reads them.
"""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from das.data import decode, splits, statistics
from das.data.colors import Color
from das.data.crops import Center, Framing, Native, Size, Whole, cut, cut_mask, sides
from das.data.masks import VALUES, Table
from das.data.pictures import content
from das.errors import DasError


@dataclass(frozen=True)
class ImageSet:
    """Images of one size in memory: ``images`` uint8 (N, C, H, W), ``labels`` int64 in [0, classes).

    Labels are (N,), or masks (N, H, W), where `das.data.masks.IGNORE` counts for nothing.
    """

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
        """What a stratified split keeps balanced, int64 (N,): the labels; with masks all zero."""
        return self.labels if self.labels.ndim == 1 else torch.zeros(len(self), dtype=torch.int64)

    @property
    def framing(self) -> Framing:
        """What a test would see of a picture in a file."""
        height, width = self.shape[1:]
        return Center(height if height == width else (height, width))

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

    def chunks(self, indices: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images uint8, labels) for each tensor of indices."""
        for chunk in indices:
            chunk = chunk.to(self.labels.device)
            yield self.images.index_select(0, chunk), self.labels[chunk]


@dataclass(frozen=True)
class FileSet:
    """RGB images of any size in files, decoded by threads as they are asked for and resampled to ``size``.

    ``files`` (N) lie below ``root``; ``targets`` is int64 (N,), or for segmentation the N mask files. ``share`` of the
    shorter side is what evaluation sees of an image (its center); with masks it sees the whole image, and
    ``table`` says what their values mean. With ``size`` None images and masks keep their own sizes, for batches of one.
    ``upright`` applies images' EXIF orientation, which published sets' results were measured without.
    """

    root: Path
    files: tuple[Path, ...]
    targets: Tensor | tuple[Path, ...]
    size: Size | None
    share: float = 1.0
    device: torch.device | str = "cpu"
    table: Table = VALUES
    upright: bool = False

    AHEAD = 2  # batches that are decoded before they are asked for

    def __len__(self) -> int:
        return len(self.files)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image in a batch."""
        return (3, *sides(self.size))

    @property
    def masked(self) -> bool:
        """Whether the targets are masks."""
        return not isinstance(self.targets, Tensor)

    @property
    def strata(self) -> Tensor:
        """What a stratified split keeps balanced, int64 (N,): the labels; with masks all zero."""
        return torch.zeros(len(self), dtype=torch.int64) if self.masked else self.targets

    def subset(self, indices: Tensor) -> "FileSet":
        """The images at ``indices`` (int64), in their order."""
        chosen = indices.tolist()
        targets = tuple(self.targets[i] for i in chosen) if self.masked else self.targets[indices]
        return replace(self, files=tuple(self.files[i] for i in chosen), targets=targets)

    def to(self, device: torch.device | str) -> "FileSet":
        """The same set, whose batches go to ``device``."""
        return replace(self, device=device)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of every file's path below the root, its number of bytes, and its label or mask likewise."""
        sha = hashlib.sha256(str(self.size).encode())
        for file, target in zip(self.files, self.targets if self.masked else self.targets.tolist(), strict=True):
            sha.update(f"{self._identity(file)}:{self._identity(target) if self.masked else target}\n".encode())
        return sha.hexdigest()

    def _identity(self, file: Path) -> str:
        return f"{file.relative_to(self.root).as_posix()}:{file.stat().st_size}"

    @property
    def framing(self) -> Framing:
        """What evaluation sees of an image."""
        if self.size is None:
            return Native()
        return Whole(self.size) if self.masked else Center(self.size, self.share)

    def native(self) -> "FileSet":
        """The same images and masks, each in its own size."""
        return replace(self, size=None)

    def item(self, index: int, framing: Framing, draws: Sequence[float]) -> tuple[Tensor, Tensor]:
        """Return image uint8 (3, *framing.size) and its target: int64 (), or mask int64 of its size; native: (H, W)."""
        file = self.files[index]
        picture = decode.image(content(file), file, self.upright)
        height, width = picture.shape[1:]
        box = framing.box(height, width, draws)
        if not self.masked:
            return cut(picture, box, framing.size), self.targets[index]
        mask = decode.mask(content(self.targets[index]), self.targets[index], self.table)
        if mask.shape != (height, width):
            raise DasError(f"{self.targets[index]}: mask is {tuple(mask.shape)}, its image {(height, width)}")
        return cut(picture, box, framing.size), cut_mask(mask, box, framing.size)

    def chunks(
        self,
        indices: Iterable[Tensor],
        framing: Framing | None = None,
        generator: torch.Generator | None = None,
        workers: int | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images uint8, targets) for each tensor of indices, the same whatever the number of ``workers``."""
        framing = framing or self.framing
        with ThreadPoolExecutor(workers or decode.cores()) as pool:
            pending = deque()
            try:
                for chunk in indices:
                    draws = torch.rand(len(chunk), framing.draws, generator=generator).tolist()
                    work = zip(chunk.tolist(), draws, strict=True)
                    pending.append([pool.submit(self.item, index, framing, draw) for index, draw in work])
                    if len(pending) > self.AHEAD:
                        yield self._collect(pending.popleft())
                while pending:
                    yield self._collect(pending.popleft())
            finally:
                pool.shutdown(cancel_futures=True)

    def _collect(self, items: Sequence) -> tuple[Tensor, Tensor]:
        pictures, targets = zip(*(item.result() for item in items), strict=True)
        parts = torch.stack([picture.permute(1, 2, 0) for picture in pictures]), torch.stack(targets)
        if torch.device(self.device).type == "cuda":
            parts = [part.pin_memory() for part in parts]
        images, targets = (part.to(self.device, non_blocking=True) for part in parts)
        return images.permute(0, 3, 1, 2), targets


class Dataset:
    """Training and test set of one data set, each read when first asked for, and the names of its classes.

    ``colors`` of a segmentation set: red, green and blue of each class, 0 to 255; None where it has none of its own.

    ``read("train")`` and ``read("test")`` return the sets; ``per_class`` limits each to that many images a class, the
    same ones in every run: drawn from ``name`` alone, or of training images those of ``split`` in the order of the
    files (das.data.splits.consecutive). What is measured of the training images is kept in ``card``.
    """

    card: Path | None = None
    split: int | None = None
    made_from: Mapping[str, str | None] = MappingProxyType({})

    def __init__(
        self,
        name: str,
        read: Callable[[str], ImageSet | FileSet],
        classes: tuple[str, ...],
        per_class: dict[str, int | None] | None = None,
        colors: tuple[Color, ...] | None = None,
    ):
        self.name = name
        self.classes = classes
        self.colors = colors
        self._read = read
        self._per_class = per_class or {}

    @cached_property
    def train(self) -> ImageSet | FileSet:
        return self._part("train")

    @cached_property
    def test(self) -> ImageSet | FileSet:
        return self._part("test")

    @property
    def digest(self) -> str:
        """SHA-256 of both sets and the class names. Reads both."""
        text = "\n".join((self.train.digest, self.test.digest, *self.classes))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def mean_std(self) -> tuple[Sequence[float], Sequence[float]]:
        """Mean and standard deviation of the training images, (C,) each: read from the card, measured without one."""
        if self.card is None:
            return tuple(part.tolist() for part in statistics.mean_std(self.train))
        known = statistics.card(self.card, self.train, self.classes, self.made_from)
        return known["mean"], known["std"]

    def _part(self, split: str) -> ImageSet | FileSet:
        whole = self._read(split)
        limit = self._per_class.get(split)
        if limit is None:
            return whole
        counts = torch.bincount(whole.strata, minlength=len(self.classes))
        place = self.split if split == "train" else None
        needed = limit * (1 + (place or 0))
        if counts.min() < needed:
            poorest = self.classes[int(counts.argmin())]
            times = f" for split {place}" if place else ""
            raise DasError(
                f"options.{split}_per_class: {needed}{times} is more than the {int(counts.min())} {split} images of "
                f"class {poorest!r} in {self.name}; use at most {int(counts.min()) // (1 + (place or 0))}"
            )
        if place is not None:
            return whole.subset(splits.consecutive(whole.strata, limit * place, limit))
        return whole.subset(splits.per_class(whole.strata, limit, self.name, split))
