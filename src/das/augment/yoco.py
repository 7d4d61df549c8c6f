"""YOCO, You Only Cut Once (Han et al. 2022; JunlinHan/YOCO): augment the halves of an image independently."""

from collections.abc import Sequence

import torch
from torch import Tensor

from das.augment import build, start_epoch
from das.augment.base import Augmentation
from das.study.augmentations import Listed


class YOCO(Augmentation):
    """Cut every image of the batch in two by width or by height, with equal odds, apply the augmentations ``augment``
    to each half by itself, and put the halves back together. Labels do not change."""

    def __init__(self, augment: Sequence[Listed]):
        self.steps = build(augment)

    def __repr__(self) -> str:
        return f"YOCO({self.steps})"

    def start_epoch(self, generator: torch.Generator, end: float) -> None:
        start_epoch(self.steps, generator, end)

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        side = 2 + int(torch.randint(2, (), generator=generator))
        cut = images.shape[side] // 2
        halves = images.split([cut, images.shape[side] - cut], side)
        return torch.cat([self._augmented(half, labels, generator) for half in halves], side), labels

    def _augmented(self, half: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        for step in self.steps:
            half, _ = step(half, labels, generator)
        return half
