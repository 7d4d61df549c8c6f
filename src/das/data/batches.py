"""Batches of images on the device."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from das.data.augmentation import Augmentation
from das.data.crops import Framing
from das.data.sets import FileSet, ImageSet
from das.errors import DasError


class Batches:
    """Cut a set into batches on ``device``: ``augment`` None for evaluation, else see `das.augment.build`.

    Everything random comes from the generator given to `epoch` (on the CPU, so that a GPU sees the same draws), and
    is the same whatever the number of threads or decoding ``workers`` (None: one a core). Every image of a batch is
    read ``copies`` times, and each copy augmented by itself.
    """

    def __init__(
        self,
        images: ImageSet | FileSet,
        batch_size: int,
        augment: Sequence | None = None,
        *,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
        channels_last: bool = False,
        dtype: torch.dtype = torch.float32,
        workers: int | None = None,
        copies: int = 1,
    ):
        self.set = images.to(device)
        self.batch_size = batch_size
        self.framing, self.augment = _split_framing(images, list(augment or ()))
        self.drop_last = drop_last
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.dtype = dtype
        self.workers = workers
        self.copies = copies

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        count = len(self.set)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def epoch(self, generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, labels): float (B, C, H, W) in [0, 1], not normalized; int64 (B,), masks, or what mixing made.

        Without ``generator`` the images come in their order, as they are: for evaluation, never with ``augment``.
        """
        if generator is None and (self.augment or self.framing):
            raise ValueError("augmentation needs a generator")
        count = len(self.set)
        order = torch.arange(count) if generator is None else torch.randperm(count, generator=generator)
        chunks = order[: len(self) * self.batch_size].split(self.batch_size)
        if self.copies > 1:
            chunks = [chunk.repeat(self.copies) for chunk in chunks]
        for images, labels in self._read(chunks, generator):
            for step in self.augment:
                if not (isinstance(step, Augmentation) and step.moves_pixels):
                    images = self._in_unit_range(images)
                images, labels = step(images, labels, generator)
            images = self._in_unit_range(images)
            yield images.contiguous(memory_format=self.format), labels

    def _in_unit_range(self, images: Tensor) -> Tensor:
        return images.to(self.dtype).div_(255) if images.dtype == torch.uint8 else images

    def _read(self, chunks: Sequence[Tensor], generator: torch.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        if isinstance(self.set, ImageSet):
            return self.set.chunks(chunks)
        # Reading runs ahead of augmentation, so it has a generator of its own.
        ahead = None
        if generator is not None:
            ahead = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
        return self.set.chunks(chunks, self.framing, ahead, self.workers)


def _split_framing(images: ImageSet | FileSet, augment: list) -> tuple[Framing | None, list]:
    """Take the framing from the front of the augmentations of a set that is read from files."""
    framing = augment.pop(0) if isinstance(images, FileSet) and augment and isinstance(augment[0], Framing) else None
    for step in augment:
        if not callable(step):
            raise DasError(f"augment: {step} works only as the first augmentation of images read from files")
    return framing, augment
