"""Mean and standard deviation of a training set, measured rather than typed."""

import torch
from torch import Tensor

from das.data.sets import FileSet, ImageSet

CHUNK = 256


def mean_std(images: ImageSet | FileSet) -> tuple[Tensor, Tensor]:
    """Return per-channel mean and standard deviation, float64 (C,), of all pixels on the scale [0, 1].

    Exact, from each channel's histogram of the 256 values. Of images in files, what evaluation sees counts.
    """
    counts = torch.zeros(images.shape[0], 256, dtype=torch.int64)
    for pixels, _ in images.chunks(torch.arange(len(images)).split(CHUNK)):
        for channel, count in enumerate(counts):
            count += torch.bincount(pixels[:, channel].flatten(), minlength=256).cpu()
    values = torch.arange(256, dtype=torch.float64) / 255
    share = counts.double() / counts.sum(1, keepdim=True)
    mean = share @ values
    return mean, (share @ values.square() - mean.square()).clamp_min(0).sqrt()
