"""Mean and standard deviation of a training set, measured rather than typed."""

import torch
from torch import Tensor

from das.data.sets import ImageSet


def mean_std(images: ImageSet) -> tuple[Tensor, Tensor]:
    """Return per-channel mean and standard deviation, float64 (C,), of all pixels on the scale [0, 1].

    Exact: from each channel's histogram of the 256 values.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    counts = torch.stack([torch.bincount(images.images[:, c].flatten(), minlength=256) for c in range(images.shape[0])])
    share = counts.cpu().double() / counts[0].sum().item()
    mean = share @ values
    return mean, ((share @ values.square()) - mean.square()).clamp_min(0).sqrt()
