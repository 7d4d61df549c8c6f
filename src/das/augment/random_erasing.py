"""Random Erasing (Zhong et al. 2020; zhunzhong07/Random-Erasing, transforms.py), a box for each image."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from das.augment.base import Augmentation
from das.augment.cutout import boxes


@dataclass(frozen=True)
class RandomErasing(Augmentation):
    """Fill a box with the given probability: area U(area) of the image, aspect (height/width) from its range.

    ``aspect_draw`` is `uniform` or `log_uniform`, ``fill`` the `mean` of the batch by channel (in place of the authors'
    mean of the data set) or `black`. A box that does not fit is drawn again, up to ten times; then the image stays as
    it is. torchvision.transforms.RandomErasing is area (0.02, 0.33), aspect (0.3, 3.3), log_uniform, black.
    """

    probability: float = 0.5
    area: tuple[float, float] = (0.02, 0.4)
    aspect: tuple[float, float] = (0.3, 1 / 0.3)
    aspect_draw: str = "uniform"
    fill: str = "mean"

    ATTEMPTS = 10

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count, _, height, width = images.shape
        erased = torch.rand(count, 1, generator=generator) < self.probability
        area, aspect = torch.rand(2, count, self.ATTEMPTS, generator=generator, dtype=torch.float64)
        area = height * width * (self.area[0] + (self.area[1] - self.area[0]) * area)
        low, high = self.aspect
        if self.aspect_draw == "uniform":
            aspect = low + (high - low) * aspect
        else:
            aspect = low * (math.log(high / low) * aspect).exp()
        tall, wide = (area * aspect).sqrt().round().long(), (area / aspect).sqrt().round().long()
        fits = (tall < height) & (wide < width)
        first = fits.int().argmax(1, keepdim=True)
        tall, wide = tall.gather(1, first), wide.gather(1, first)
        place = torch.rand(2, count, 1, generator=generator, dtype=torch.float64)
        top, left = ((height - tall + 1) * place[0]).long(), ((width - wide + 1) * place[1]).long()
        chosen = (erased & fits.any(1, keepdim=True)).view(-1, 1, 1, 1)
        erased = (boxes(top, left, tall, wide, height, width) & chosen).to(images.device)
        color = images.mean((0, 2, 3), keepdim=True) if self.fill == "mean" else images.new_zeros(())
        return torch.where(erased, color, images), labels
