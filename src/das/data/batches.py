"""Batches of images on the device, and the normalisation that follows the image-to-video step."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from das.data.sets import ImageSet


class Batches:
    """Cut a set into batches on ``device``: ``augment`` None for evaluation, else see `das.augment.build`.

    Everything random comes from the generator given to `epoch` (on the CPU, so that a GPU draws the same).
    """

    def __init__(
        self,
        images: ImageSet,
        batch_size: int,
        augment: Sequence | None = None,
        *,
        device: torch.device | str = "cpu",
        drop_last: bool = False,
        channels_last: bool = False,
        dtype: torch.dtype = torch.float32,
    ):
        self.set = images.to(device)
        self.batch_size = batch_size
        self.augment = augment
        self.drop_last = drop_last
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        self.dtype = dtype

    def __len__(self) -> int:
        """Number of batches in an epoch."""
        count = len(self.set)
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def epoch(self, generator: torch.Generator | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images, labels): float (B, C, H, W) in [0, 1], not normalised, and int64 (B,) or what mixing made.

        Without ``generator`` the images come in their order, as they are.
        """
        if generator is None:
            if self.augment:
                raise ValueError("augmentation needs a generator")
            order = torch.arange(len(self.set))
        else:
            order = torch.randperm(len(self.set), generator=generator)
        for indices in order[: len(self) * self.batch_size].split(self.batch_size):
            indices = indices.to(self.set.labels.device)
            images = self.set.images[indices].to(self.dtype).div_(255)
            labels = self.set.labels[indices]
            for step in self.augment or ():
                images, labels = step(images, labels, generator)
            yield images.contiguous(memory_format=self.format), labels


class Normalize(nn.Module):
    """(x - mean) / std over the channels of (..., C, H, W): images and videos alike."""

    def __init__(self, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor):
        super().__init__()
        mean, std = (torch.as_tensor(v, dtype=torch.float32).view(-1, 1, 1) for v in (mean, std))
        self.register_buffer("scale", 1 / std)
        self.register_buffer("offset", -mean / std)

    def forward(self, images: Tensor) -> Tensor:
        return images * self.scale.to(images.dtype) + self.offset.to(images.dtype)
