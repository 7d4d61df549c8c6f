"""CutMix (Yun et al. 2019), torchvision's."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2

from das.augment.base import Augmentation
from das.augment.draws import forked
from das.augment.labels import probabilities


@dataclass(frozen=True)
class CutMix(Augmentation):
    """Paste a box of another image into every image: lambda ~ Beta(alpha, alpha) and one box a batch.

    The box has sides sqrt(1 - lambda) of the image's about a uniform center, clipped to the image; labels are mixed
    in proportion to the pixels. The partner is the neighbor in the shuffled batch (torchvision.transforms.v2.CutMix).
    With ``probability`` below 1 the other batches stay as they are (the authors' CIFAR runs: 0.5).
    """

    classes: int
    alpha: float = 1.0
    probability: float = 1.0

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        labels = probabilities(labels, self.classes)
        if torch.rand((), generator=generator) >= self.probability:
            return images, labels
        with forked(generator):
            return v2.CutMix(alpha=self.alpha)(images, labels)
