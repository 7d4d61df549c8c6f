"""Classification: from image to prediction, the loss and the score. Other tasks override what differs."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.data.batches import Batches
from das.data.colors import Color, distinct
from das.data.crops import Framing
from das.data.sets import Dataset, FileSet, ImageSet
from das.errors import DasError
from das.models import Normalize, video_model
from das.study.schema import Architecture
from das.video.affine import AffineViews
from das.video.policy import Policy
from das.video.transform import ImageToVideo

BRIGHTEST = 2.0  # a pixel farther from 0 is not in [0, 1], whatever an augmentation's interpolation adds


class DasModel(nn.Module):
    """A classifier of images that looks at each one as a video of its transformed copies.

    What training, testing and searching need to know of the task is here.

    Args:
        architecture: of the network, as a run or a checkpoint describes it.
        policy: the image-to-video policy; None for one untouched frame.
        classes: the class names, in the order of the logits.
        mean, std: per channel, of images in [0, 1].

    Attributes:
        framing: what a test sees of a picture in a file; None where that is not known.
        colors: of the classes, as `das.data.sets.Dataset.colors`.
    """

    framing: Framing | None = None
    colors: Sequence[Sequence[int]] | None = None
    metric = "accuracy"

    def __init__(
        self,
        architecture: Architecture,
        policy: Policy | None,
        classes: Sequence[str],
        mean: Sequence[float] | Tensor,
        std: Sequence[float] | Tensor,
    ):
        super().__init__()
        self.architecture = architecture
        self.policy = policy or Policy.replicate(1)
        self.classes = tuple(classes)
        self.video: nn.Module = ImageToVideo(self.policy)
        if architecture.views:
            self.look_through(architecture.views)
        self.mean, self.std = ([float(v) for v in values] for values in (mean, std))
        self.normalize = Normalize(mean, std)
        self.network = self.build(architecture)
        self._looked = False

    def look_through(self, views: list[list[float]]) -> None:
        """See these affine views of an image, coefficients (T, 6), in place of the policy's frames."""
        self.architecture = self.architecture.model_copy(update={"views": views})
        self.video = AffineViews(views)

    @property
    def frames(self) -> int:
        """Frames that a test passes through the network for each image."""
        return len(self.architecture.views) if self.architecture.views else self.policy.frames

    def build(self, architecture: Architecture) -> nn.Module:
        """The network, from videos (B, T, C, H, W) to logits."""
        return video_model(
            architecture.network,
            num_classes=len(self.classes),
            frames=self.policy.frames,
            fusion=architecture.fusion,
            fusion_options=architecture.fusion_options,
            places=architecture.places,
            consensus=architecture.consensus,
            backbone_options=architecture.network_options,
            in_channels=len(self.mean),
            pretrained=architecture.pretrained,
            dropout=architecture.dropout,
        )

    def forward(self, images: Tensor, to_video: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, classes), through another ``to_video`` than the policy's.

        Raises DasError for images that `check` refuses.
        """
        self.check(images)
        videos = (to_video or self.video)(images)
        frames = {"frames": videos.shape[1]} if self.architecture.views else {}
        return self.network(self.normalize(videos), **frames)

    def check(self, images: Tensor) -> None:
        """Raise DasError for images of another shape or type, or of pixels that are not in [0, 1].

        Values are looked at where that costs nothing beside the network: in tests on a CPU, else in the first batch.
        """
        channels, dtype = len(self.mean), self.normalize.scale.dtype
        if not isinstance(images, Tensor):
            raise DasError(f"images: is {type(images).__name__}; should be a tensor (B, {channels}, H, W) in [0, 1]")
        mixed = images.is_floating_point() and torch.is_autocast_enabled(images.device.type)
        if images.ndim != 4 or images.shape[1] != channels or not (images.dtype == dtype or mixed):
            raise DasError(
                f"images: {tuple(images.shape)} of {images.dtype}; the model reads {dtype} in [0, 1], "
                f"(B, {channels}, H, W)"
            )
        if self._looked and (self.training or images.device.type != "cpu"):
            return
        self._looked = True
        if images.numel() and not torch.compiler.is_compiling():
            low, high = map(float, images.detach().aminmax())
            if not (low >= -BRIGHTEST and high <= BRIGHTEST):
                raise DasError(f"images: values from {low:g} to {high:g}; the model reads pixels in [0, 1]")

    def batches(self, images: ImageSet | FileSet, batch_size: int, device: torch.device) -> Batches:
        """What a test reads, for `predict` and `score`."""
        return Batches(images, batch_size, device=device)

    @property
    def palette(self) -> tuple[Color, ...]:
        """A color for each class: the data set's own, or distinct ones."""
        return tuple((r, g, b) for r, g, b in self.colors or distinct(len(self.classes)))

    def know(self, dataset: Dataset) -> None:
        """Take from a data set what is needed to read other pictures as its own, and to show what is predicted."""
        self.framing, self.colors = self.tested_framing(dataset.train), dataset.colors

    @staticmethod
    def tested_framing(images: ImageSet | FileSet) -> Framing | None:
        """What a test sees of a picture."""
        return images.framing

    def predict(self, images: Tensor) -> Tensor:
        """Images to logits, as they are tested."""
        return self(images)

    def criterion(self, label_smoothing: float = 0.0) -> nn.Module:
        """The loss that a training minimizes: what `forward` returns in training, and labels, to a scalar."""
        return nn.CrossEntropyLoss(label_smoothing=label_smoothing)

    def learning_rates(self) -> dict[nn.Parameter, float]:
        """Parameters that learn at a multiple of the recipe's rate, and the multiple."""
        return {}

    def score(self, device: torch.device) -> "Accuracy":
        """What adds up the test's predictions: ``add(logits, labels)`` by batch, then ``result()``."""
        return Accuracy(device)

    @staticmethod
    def batch_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
        """The share of a batch's labels that are predicted, a scalar in [0, 1]."""
        return (logits.detach().argmax(1) == labels).float().mean()


class Accuracy:
    """Adds up predictions batch by batch: accuracy, also by class, loss, and how far confidence is from accuracy.

    The expected calibration error (Guo et al. 2017) cuts [0, 1] into ``BINS`` equal bins, a confidence on a border
    belonging to the lower one, and averages |accuracy - mean confidence| over them, weighted by their predictions.
    """

    BINS = 15

    def __init__(self, device: torch.device | str = "cpu"):
        self.loss = torch.zeros((), device=device)
        self.bins = torch.zeros(self.BINS, 3, dtype=torch.float64, device=device)  # predictions, hits, confidence
        self.classes: Tensor | int = 0  # (K, 2): images, hits

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (B, K), labels int64 (B,)."""
        self.loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        confidence = logits.double().softmax(1).amax(1)
        hits = (logits.argmax(1) == labels).double()
        ones = torch.ones_like(hits)
        places = (confidence * self.BINS).ceil().long().clamp(1, self.BINS) - 1
        self.bins += F.one_hot(places, self.BINS).double().T @ torch.stack([ones, hits, confidence], 1)
        self.classes = self.classes + F.one_hot(labels, logits.shape[1]).double().T @ torch.stack([ones, hits], 1)

    def result(self) -> dict[str, Any]:
        """`accuracy` in [0, 1] and mean cross-entropy `loss`; `class_accuracy`, a value a class, None for one without
        images, and their mean, `balanced_accuracy`; `calibration_error` in [0, 1]."""
        assert isinstance(self.classes, Tensor)
        images, hits = self.classes.T
        count = float(images.sum())
        by_class = [float(hit / number) if number else None for number, hit in zip(images, hits, strict=True)]
        there = [value for value in by_class if value is not None]
        return {
            "accuracy": float(hits.sum()) / count,
            "loss": float(self.loss) / count,
            "balanced_accuracy": sum(there) / len(there),
            "class_accuracy": by_class,
            "calibration_error": float((self.bins[:, 1] - self.bins[:, 2]).abs().sum()) / count,
        }
