"""Gaussian blur of training images, as the segmentation code of casarinsof/TRAS (base/base_dataset.py) has it."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from das.augment.base import Augmentation


@dataclass(frozen=True)
class RandomBlur(Augmentation):
    """Blur each image with a standard deviation of U(0, ``sigma``) pixels. The kernel has the odd side next to or at
    3.3 of it, rounded down, so images below 0.61 stay as they are; beyond the border the image is mirrored. Labels and
    label maps are left alone."""

    sigma: float = 1.0

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        sigma = self.sigma * torch.rand(len(images), 1, generator=generator)
        reach = (3.3 * sigma).int() // 2  # pixels on either side of the kernel's middle
        far = int(reach.max())
        distance = torch.arange(-far, far + 1)
        weights = torch.exp(-(distance**2) / (2 * sigma.clamp_min(1e-6) ** 2)) * (distance.abs() <= reach)
        weights = (weights / weights.sum(1, keepdim=True)).to(images)
        height, width = images.shape[2:]
        padded = F.pad(images, (far,) * 4, mode="reflect")
        rows = sum(w.view(-1, 1, 1, 1) * padded[:, :, i : i + height] for i, w in enumerate(weights.T))
        return sum(w.view(-1, 1, 1, 1) * rows[..., i : i + width] for i, w in enumerate(weights.T)), labels
