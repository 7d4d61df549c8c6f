"""Several trained networks that predict together."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from das.data.batches import Batches
from das.data.sets import FileSet, ImageSet
from das.tasks.classification import Accuracy, DasModel
from das.video.policy import Policy


class Ensemble(nn.Module):
    """Mean of the ``members``' probabilities (Lakshminarayanan et al. 2017, arXiv 1612.01474), as an evaluation asks.

    The members have one task and the same classes; each looks through its own policy.
    """

    def __init__(self, members: Sequence[DasModel]):
        super().__init__()
        self.members: nn.ModuleList = nn.ModuleList(members)

    @property
    def _first(self) -> DasModel:
        return self.members[0]  # type: ignore[return-value]

    @property
    def metric(self) -> str:
        return self._first.metric

    @property
    def policy(self) -> Policy:
        """The first member's."""
        return self._first.policy

    @property
    def frames(self) -> int:
        """Frames that a test passes through the networks, all members together."""
        return sum(member.frames for member in self.members)  # type: ignore[misc]

    @property
    def network(self) -> nn.ModuleList:
        """What has weights."""
        return self.members

    def predict(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) to the logarithm of the mean probabilities, (B, K) or (B, K, H, W)."""
        logits = torch.stack([member.predict(images) for member in self.members])  # type: ignore[operator]
        return logits.softmax(2).mean(0).clamp_min(torch.finfo(logits.dtype).tiny).log()

    def batches(self, images: ImageSet | FileSet, batch_size: int, device: torch.device) -> Batches:
        return self._first.batches(images, batch_size, device)

    def score(self, device: torch.device) -> Accuracy:
        return self._first.score(device)
