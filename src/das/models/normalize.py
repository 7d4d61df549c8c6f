"""What a network reads: images with their mean taken away and their spread scaled to one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """(x - mean) / std over the channels of (..., C, H, W): images and videos alike."""

    def __init__(self, mean: Sequence[float] | Tensor, std: Sequence[float] | Tensor):
        super().__init__()
        mean, std = (torch.as_tensor(v, dtype=torch.float32).view(-1, 1, 1) for v in (mean, std))
        self.register_buffer("scale", 1 / std)
        self.register_buffer("offset", -mean / std)

    def forward(self, images: Tensor) -> Tensor:
        return torch.addcmul(self.offset.to(images.dtype), images, self.scale.to(images.dtype))
