"""How information crosses frames inside a 2D network.

Every module reads and returns frames folded into the batch, (B*T, C, H, W) with time fastest after batch, and is told
T by its attribute ``frames``.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.errors import DasError


def unfold_time(x: Tensor, frames: int) -> Tensor:
    """View (B*T, …) as (B, T, …); DasError if the batch is not a multiple of T."""
    if x.shape[0] % frames:
        raise DasError(
            f"temporal fusion: a batch of {x.shape[0]} is not a multiple of T = {frames} frames {tuple(x.shape)}"
        )
    return x.unflatten(0, (-1, frames))


class TemporalFusion(nn.Module):
    """Base of the fusion modules: reads and returns (B*T, C, H, W), T being ``frames``."""

    def __init__(self, frames: int):
        super().__init__()
        self.frames = frames


class TSM(TemporalFusion):
    """Temporal shift (Lin et al. 2019): of ``channels``, the first 1/fold_div come from the next frame, as many from
    the previous one, the others stay; beyond the ends zero. Definition: temporal-shift-module, ops/temporal_shift.py.
    """

    def __init__(self, channels: int, frames: int, fold_div: int = 8):
        super().__init__(frames)
        if channels < fold_div:
            raise DasError(f"tsm: {channels} channels are fewer than fold_div = {fold_div}: nothing would be shifted")
        self.fold = channels // fold_div

    def forward(self, x: Tensor) -> Tensor:
        x = unfold_time(x, self.frames)
        fold = self.fold
        from_next = F.pad(x[:, 1:, :fold], (0, 0, 0, 0, 0, 0, 0, 1))
        from_previous = F.pad(x[:, :-1, fold : 2 * fold], (0, 0, 0, 0, 0, 0, 1, 0))
        return torch.cat([from_next, from_previous, x[:, :, 2 * fold :]], dim=2).flatten(0, 1)
