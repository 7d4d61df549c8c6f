"""One frame by chance of the videos that DAS chooses from: is DAS more than the augmentation it contains?"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from das.augment.base import Augmentation
from das.video.family import Family
from das.video.operations import Operation, operation_named
from das.video.schedule import strengths
from das.video.warp import sampled


@dataclass(frozen=True)
class RandomFrame(Augmentation):
    """Each image as a frame of a policy, both by chance: ``operations`` of the ``space`` in a row, drawn evenly with
    their magnitudes, at the strength of one of ``frames`` frames, drawn evenly, too.

    ``magnitudes``: ``drawn`` evenly from the operations' ranges, or each operation on its ``grid`` of four a candidate
    of its own, as `das.video.family.Family` has them. Rows are one affine map: one interpolation.
    """

    space: str = "affine5"
    frames: int = 4
    schedule: str = "mirrored"
    magnitudes: str = "drawn"
    operations: int = 1
    padding: str = "zeros"

    @cached_property
    def candidates(self) -> list[tuple[Operation, list[tuple[float, float, bool]]]]:
        """Operations, each with (lowest, highest, whether whole) of its magnitudes."""
        family = Family(self.space, self.frames, "single", schedule=self.schedule, magnitudes=self.magnitudes)
        found = []
        for choice in family.candidates[0]:
            operation = operation_named(choice.operation)
            ranges = [(*values.drawn, values.whole) for values in operation.ranges]
            if self.magnitudes == "grid":
                ranges = [(magnitude, magnitude, False) for magnitude in choice.magnitudes]
            found.append((operation, ranges))
        return found

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        matrices = self.inverse_maps(len(images), *images.shape[2:], generator)
        return sampled(images, matrices.to(images.device), self.padding), labels

    def inverse_maps(self, count: int, height: int, width: int, generator: torch.Generator) -> Tensor:
        """The maps (count, 3, 3) of as many images, drawn from ``generator``."""
        steps = torch.tensor(strengths(self.schedule, self.frames), dtype=torch.float64)
        strength = steps[torch.randint(self.frames, (count,), generator=generator)]
        matrices = torch.eye(3, dtype=torch.float64).repeat(count, 1, 1)
        for _ in range(self.operations):
            chosen = torch.randint(len(self.candidates), (count,), generator=generator)
            most = max(len(ranges) for _, ranges in self.candidates)
            draws = torch.rand(count, most, generator=generator, dtype=torch.float64)
            own = torch.empty(count, 3, 3, dtype=torch.float64)
            for place, (operation, ranges) in enumerate(self.candidates):
                mine = chosen == place
                values = [_between(*bounds, draws[mine, column]) for column, bounds in enumerate(ranges)]
                own[mine] = operation.inverse(values, strength[mine], height, width)
            matrices = matrices @ own
        return matrices


def _between(low: float, high: float, whole: bool, draws: Tensor) -> Tensor:
    return (low + (high - low + 1) * draws).floor() if whole else low + (high - low) * draws
