"""AutoAugment's published policies (Cubuk et al. 2019)."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2

from das.augment import operations
from das.augment.base import Augmentation

BINS = 10
SPACE = v2.AutoAugment._AUGMENTATION_SPACE


@dataclass(frozen=True)
class AutoAugment(Augmentation):
    """One of the 25 sub-policies of torchvision's table ``policy`` (cifar10, imagenet or svhn) for each image: two
    operations, each applied with its own probability at its own level."""

    policy: str = "cifar10"

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        table = v2.AutoAugment(v2.AutoAugmentPolicy(self.policy))._policies
        drawn = torch.randint(len(table), (len(images),), generator=generator)
        for names, probabilities, levels in (zip(*steps, strict=True) for steps in zip(*table, strict=True)):
            applied = torch.rand(len(images), generator=generator) <= torch.tensor(probabilities)[drawn]
            chosen = torch.tensor([operations.NAMES.index(name) for name in names])[drawn]
            chosen = torch.where(applied, chosen, operations.NAMES.index("Identity"))
            magnitudes = operations.sampled_magnitudes(
                SPACE,
                chosen,
                torch.tensor([level or 0 for level in levels])[drawn],
                BINS,
                images.shape[2:],
                generator,
            )
            images = operations.apply(images, chosen, magnitudes)
        return images, labels
