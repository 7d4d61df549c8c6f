"""Segmentation of images through videos of their transformed copies: the model, its loss and how it is tested."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.data.frames import IGNORE
from das.engine.model import DasModel
from das.engine.segment_scores import DenseScore, cross_entropy
from das.errors import DasError
from das.models.segmentation import segmenter
from das.video.policy import Policy
from das.video.registration import DenseConsensus

OVERLAP = 1 / 3  # of neighbouring windows, as a share of their side


class SegmentationModel(DasModel):
    """A segmenter of images that looks at each one as a video of its transformed copies.

    The arguments are `DasModel`'s; the backbone's settings name a ``head``. Masks count labels from 0 to classes - 1,
    and 255 where nothing counts. Raises DasError for less than two classes.
    """

    metric = "miou"

    def __init__(self, settings: dict[str, Any], policy: Policy | None, classes: Sequence[str], mean, std):
        if len(classes) < 2:
            raise DasError(f"classes: {list(classes)} is not a list of two or more; a mask tells classes apart")
        if len(classes) > IGNORE:
            raise DasError(f"classes: there are {len(classes)}; masks of bytes tell at most {IGNORE} apart")
        super().__init__(settings, policy, classes, mean, std)
        self.consensus = DenseConsensus(settings["method"]["consensus"], self.policy)
        recipe = settings["recipe"]["segmentation"]
        self.frozen = recipe["batch_norm"] == "frozen"
        self.scales, self.flip, self.window = recipe["scales"], recipe["flip"], recipe["window"]

    def build(self, backbone: dict[str, Any], method: dict[str, Any], frames: int) -> nn.Module:
        return segmenter(
            backbone["network"],
            backbone["head"]["network"],
            num_classes=len(self.classes),
            frames=frames,
            fusion=method["fusion"],
            fusion_options=method["fusion_options"],
            in_channels=len(self.mean),
            pretrained=backbone["pretrained"],
            output_stride=backbone["head"]["output_stride"],
            dropout=backbone["dropout"],
            backbone_options=backbone["options"],
        )

    def train(self, mode: bool = True) -> "SegmentationModel":
        """Frozen batch norms keep the running statistics they have, in training too."""
        super().train(mode)
        if self.frozen:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def forward(self, images: Tensor, to_video: Callable | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Images (B, C, H, W) in [0, 1] to logits (B, K, H, W); in training, the auxiliary head's too.

        Another ``to_video`` than the policy's has a ``policy`` that says where its frames look.
        """
        consensus = self.consensus
        if to_video is not None:
            consensus = DenseConsensus(consensus.name, to_video.policy, passing=True)
        videos = (to_video or self.video)(images)
        outputs = self.network(self.normalize(videos), videos.shape[1])
        fused = tuple(consensus(frames, *images.shape[2:]) for frames in outputs)
        return fused if self.training else fused[0]

    def criterion(self, recipe: dict[str, Any]) -> nn.Module:
        return DenseLoss(recipe["segmentation"]["auxiliary_weight"], recipe["label_smoothing"])

    def learning_rates(self, recipe: dict[str, Any]) -> dict[nn.Parameter, float]:
        heads = (self.network.network.head, self.network.network.auxiliary)
        return {p: recipe["segmentation"]["head_lr"] for head in heads for p in head.parameters()}

    def score(self, device: torch.device) -> DenseScore:
        return DenseScore(self.classes, device)

    @staticmethod
    def right(logits: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """The share of pixels that are told rightly, of those that count."""
        logits = logits[0] if isinstance(logits, tuple) else logits
        counts = labels != IGNORE
        return ((logits.detach().argmax(1) == labels) & counts).sum() / counts.sum().clamp_min(1)

    def predict(self, images: Tensor) -> Tensor:
        """Images to logits as the recipe tests: over windows, mirrored copies and scales, probabilities averaged."""
        if tuple(self.scales) == (1.0,) and not self.flip and self.window is None:
            return self(images)
        size, total = images.shape[2:], 0
        for scale in self.scales:
            side = [max(1, round(scale * length)) for length in size]
            scaled = F.interpolate(images, side, mode="bilinear", align_corners=False, antialias=True)
            for mirrored in (False, True)[: 1 + self.flip]:
                probabilities = self._windows(scaled.flip(-1) if mirrored else scaled)
                probabilities = probabilities.flip(-1) if mirrored else probabilities
                total = total + F.interpolate(probabilities, size, mode="bilinear", align_corners=False)
        return (total / total.sum(1, keepdim=True)).clamp_min(torch.finfo(total.dtype).tiny).log()

    def _windows(self, images: Tensor) -> Tensor:
        """Probabilities (B, K, H, W): means over the windows that cover a pixel."""
        height, width = images.shape[2:]
        side = self.window or max(height, width)
        total = images.new_zeros(len(images), len(self.classes), height, width)
        count = images.new_zeros(height, width)
        for top in _starts(height, side):
            for left in _starts(width, side):
                part = (..., slice(top, top + side), slice(left, left + side))
                total[part] += self(images[part].contiguous()).softmax(1)
                count[part] += 1
        return total / count


def _starts(length: int, side: int) -> list[int]:
    """Where windows of ``side`` begin so that they cover ``length``, overlap by a third or more and end with it."""
    if side >= length:
        return [0]
    count = -(-(length - side) // max(1, round(side * (1 - OVERLAP)))) + 1
    return [round(place * (length - side) / (count - 1)) for place in range(count)]


class DenseLoss(nn.Module):
    """Mean cross-entropy of a pixel, and ``auxiliary_weight`` times the auxiliary head's (Zhao et al. 2017: 0.4)."""

    def __init__(self, auxiliary_weight: float, label_smoothing: float):
        super().__init__()
        self.auxiliary_weight, self.label_smoothing = auxiliary_weight, label_smoothing

    def forward(self, logits: Tensor | tuple[Tensor, Tensor], labels: Tensor) -> Tensor:
        """Logits (B, K, H, W), alone or with the auxiliary head's, and label maps (B, H, W) to a scalar.

        A batch in which no pixel counts has the loss 0.
        """
        main, *auxiliary = logits if isinstance(logits, tuple) else (logits,)
        loss = self._mean(main, labels)
        for other in auxiliary:
            if self.auxiliary_weight:
                loss = loss + self.auxiliary_weight * self._mean(other, labels)
        return loss

    def _mean(self, logits: Tensor, labels: Tensor) -> Tensor:
        total = cross_entropy(logits.float(), labels, reduction="sum", label_smoothing=self.label_smoothing)
        return total / (labels != IGNORE).sum().clamp_min(1)
