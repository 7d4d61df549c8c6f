"""Segmentation of images through videos of their transformed copies: the model, its loss and how it is tested."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.data.batches import Batches
from das.data.crops import IGNORE, Native, Whole, sides
from das.data.sets import FileSet, ImageSet
from das.errors import DasError
from das.models.segmentation import segmenter
from das.study.schema import Architecture
from das.tasks.classification import DasModel
from das.tasks.dense_scores import DenseScore, cross_entropy
from das.video.policy import Policy
from das.video.registration import DenseConsensus

OVERLAP = 1 / 3  # of neighboring windows, as a share of their side: PSPNet's authors' test (hszhao/semseg)


class SegmentationModel(DasModel):
    """A segmenter of images that looks at each one as a video of its transformed copies.

    The arguments are `DasModel`'s; the backbone's settings name a ``head``. Masks count labels from 0 to classes - 1,
    and 255 where nothing counts. Raises DasError for less than two classes.
    """

    metric = "miou"

    def __init__(self, architecture: Architecture, policy: Policy | None, classes: Sequence[str], mean, std):
        if len(classes) < 2:
            raise DasError(f"classes: {list(classes)} is not a list of two or more; a mask tells classes apart")
        if len(classes) > IGNORE:
            raise DasError(f"classes: there are {len(classes)}; masks of bytes tell at most {IGNORE} apart")
        super().__init__(architecture, policy, classes, mean, std)
        self.consensus = DenseConsensus(architecture.consensus, self.policy)
        self.frozen = architecture.segmentation.batch_norm == "frozen"
        self.evaluation = architecture.segmentation.evaluation
        size = architecture.image_size if self.evaluation.size == "training" else None
        self.whole = Whole(size) if size else None  # how training saw images from files

    def build(self, architecture: Architecture) -> nn.Module:
        return segmenter(
            architecture.network,
            architecture.head.network,
            num_classes=len(self.classes),
            frames=self.policy.frames,
            fusion=architecture.fusion,
            fusion_options=architecture.fusion_options,
            places=architecture.places,
            in_channels=len(self.mean),
            pretrained=architecture.pretrained,
            output_stride=architecture.head.output_stride,
            dilation=architecture.head.dilation,
            dropout=architecture.dropout,
            backbone_options=architecture.network_options,
            head_options=architecture.head.options,
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
        self.check(images)
        videos = (to_video or self.video)(images)
        outputs = self.network(self.normalize(videos), videos.shape[1])
        fused = tuple(consensus(frames, *images.shape[2:]) for frames in outputs)
        return fused if self.training else fused[0]

    def criterion(self, label_smoothing: float = 0.0) -> nn.Module:
        recipe = self.architecture.segmentation
        if unknown := set(recipe.class_weights) - set(self.classes):
            key = f"segmentation.class_weights.{min(unknown)}"
            raise DasError(f"{key}: is no class; should be one of {', '.join(self.classes)}")
        weights = [recipe.class_weights.get(name, 1.0) for name in self.classes] if recipe.class_weights else None
        return DenseLoss(recipe.auxiliary_weight, label_smoothing, weights)

    def learning_rates(self) -> dict[nn.Parameter, float]:
        heads = (self.network.network.head, self.network.network.auxiliary)
        return {p: self.architecture.segmentation.head_lr for head in heads for p in head.parameters()}

    def score(self, device: torch.device) -> DenseScore:
        return DenseScore(self.classes, device)

    @staticmethod
    def batch_accuracy(logits: Tensor | tuple[Tensor, ...], labels: Tensor) -> Tensor:
        """The share of a batch's pixels that are predicted, of those that count."""
        logits = logits[0] if isinstance(logits, tuple) else logits
        counts = labels != IGNORE
        return ((logits.detach().argmax(1) == labels) & counts).sum() / counts.sum().clamp_min(1)

    def batches(self, images: ImageSet | FileSet, batch_size: int, device: torch.device) -> Batches:
        """Images in files come one by one, they and their masks in their own size."""
        if isinstance(images, FileSet):
            images, batch_size = images.native(), 1
        return super().batches(images, batch_size, device)

    @staticmethod
    def tested_framing(images: ImageSet | FileSet) -> Native:
        """Pictures in their own size."""
        return Native()

    def predict(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) of any size to logits (B, K, H, W) as the recipe tests.

        Probabilities are averaged over windows, mirrored copies and scales (hszhao/semseg). With the recipe's
        ``evaluation.size`` `training`, images from files are first scaled as training saw them, and
        predictions are brought back to the images' size.
        """
        window, scales, flip = self.evaluation.window, self.evaluation.scales, self.evaluation.flip
        if self.whole is None and window is None and tuple(scales) == (1.0,) and not flip:
            return self(images)
        size, total = images.shape[2:], 0
        for scale in scales:
            zoom = scale
            if self.whole:
                zoom = min(scale * side / length for side, length in zip(sides(self.whole.size), size, strict=True))
            lengths = [max(1, round(zoom * length)) for length in size]
            scaled = _resized(images, lengths, antialias=True)
            seen = (window, window) if window else self.whole.box(*lengths)[2:] if self.whole else None
            for mirrored in (False, True)[: 1 + flip]:
                probabilities = self._windows(scaled.flip(-1) if mirrored else scaled, seen)
                probabilities = probabilities.flip(-1) if mirrored else probabilities
                total = total + _resized(probabilities, size)
        return (total / total.sum(1, keepdim=True)).clamp_min(torch.finfo(total.dtype).tiny).log()

    def _windows(self, images: Tensor, window: tuple[int, int] | None) -> Tensor:
        """Probabilities (B, K, H, W): means over the windows that cover a pixel; None: the image is the window.

        A window that is larger than the image reaches beyond its right and bottom, where it is black as in training.
        """
        if window is None:
            return self(images).softmax(1)
        (height, width), (rows, columns) = images.shape[2:], window
        images = F.pad(images, (0, max(columns - width, 0), 0, max(rows - height, 0)))
        total = images.new_zeros(len(images), len(self.classes), *images.shape[2:])
        count = images.new_zeros(images.shape[2:])
        for top in _starts(images.shape[2], rows):
            for left in _starts(images.shape[3], columns):
                part = (..., slice(top, top + rows), slice(left, left + columns))
                total[part] += self(images[part].contiguous()).softmax(1)
                count[part] += 1
        return (total / count)[..., :height, :width]


def _resized(images: Tensor, size: Sequence[int], antialias: bool = False) -> Tensor:
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return F.interpolate(images, tuple(size), mode="bilinear", align_corners=False, antialias=antialias)


def _starts(length: int, side: int) -> list[int]:
    """Where windows of ``side`` begin so that they cover ``length``, overlap by a third or more and end with it."""
    if side == length:
        return [0]
    count = -(-(length - side) // max(1, round(side * (1 - OVERLAP)))) + 1
    return [round(place * (length - side) / (count - 1)) for place in range(count)]


class DenseLoss(nn.Module):
    """Mean cross-entropy of a pixel, and ``auxiliary_weight`` times the auxiliary head's (Zhao et al. 2017: 0.4). With
    ``weights``, one a class, the mean is weighted by the weight of each pixel's label."""

    def __init__(self, auxiliary_weight: float, label_smoothing: float, weights: Sequence[float] | None = None):
        super().__init__()
        self.auxiliary_weight, self.label_smoothing = auxiliary_weight, label_smoothing
        self.register_buffer("weights", torch.tensor(weights) if weights else None, persistent=False)

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
        how = {"reduction": "sum", "label_smoothing": self.label_smoothing, "weight": self.weights}
        total, counted = cross_entropy(logits.float(), labels, **how), labels != IGNORE
        if self.weights is None:
            return total / counted.sum().clamp_min(1)
        return total / self.weights[labels[counted]].sum().clamp_min(torch.finfo(total.dtype).tiny)
