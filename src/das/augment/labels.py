"""Labels as probabilities, which mixed images need."""

import torch
from torch import Tensor
from torch.nn import functional as F


def probabilities(labels: Tensor, classes: int) -> Tensor:
    """Class indices int64 (B,) as one-hot rows, float32 (B, classes)."""
    return F.one_hot(labels, classes).float()


def mixed(labels: Tensor, partners: Tensor, share: Tensor | float) -> Tensor:
    """``share`` of each label's probabilities, the rest of its partner's: (B, K), (B, K), scalar or (B,) -> (B, K)."""
    share = torch.as_tensor(share, dtype=labels.dtype, device=labels.device).reshape(-1, 1)
    return share * labels + (1 - share) * partners
