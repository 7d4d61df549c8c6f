"""Classification: from image to prediction, the loss and the score. Other tasks override what differs."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.data.batches import Batches
from das.data.sets import FileSet, ImageSet
from das.errors import DasError
from das.models import Normalize, video_model
from das.study.schema import Architecture
from das.video.affine import AffineViews
from das.video.policy import Policy
from das.video.transform import ImageToVideo

BRIGHTEST = 2.0  # a pixel above it is not in [0, 1], whatever an augmentation's interpolation adds


class DasModel(nn.Module):
    """A classifier of images that looks at each one as a video of its transformed copies.

    What training, testing and searching need to know of the task is here.

    Args:
        architecture: of the network, as a run or a checkpoint describes it.
        policy: the image-to-video policy; None for one untouched frame.
        classes: the class names, in the order of the logits.
        mean, std: per channel, of images in [0, 1].
    """

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

        Raises DasError for another number of channels, for integers, and (at the first batch) for pixels up to 255.
        """
        self.check(images)
        videos = (to_video or self.video)(images)
        return self.network(self.normalize(videos), videos.shape[1])

    def check(self, images: Tensor) -> None:
        """Raise DasError for images that the model was not made for."""
        if images.ndim != 4 or images.shape[1] != len(self.mean) or not images.is_floating_point():
            raise DasError(
                f"images: {tuple(images.shape)} of {images.dtype}; the model reads floats in [0, 1], "
                f"(B, {len(self.mean)}, H, W)"
            )
        if not self._looked:
            self._looked = True
            if images.numel() and float(images.detach().amax()) > BRIGHTEST:
                raise DasError(f"images: values up to {float(images.amax()):g}; the model reads pixels in [0, 1]")

    def batches(self, images: ImageSet | FileSet, batch_size: int, device: torch.device) -> Batches:
        """What a test reads, for `predict` and `score`."""
        return Batches(images, batch_size, device=device)

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
    """Adds up predictions batch by batch."""

    def __init__(self, device: torch.device | str = "cpu"):
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.loss = torch.zeros((), device=device)
        self.count = 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count a batch: logits (B, K), labels int64 (B,)."""
        self.loss += F.cross_entropy(logits.float(), labels, reduction="sum")
        self.correct += (logits.argmax(1) == labels).sum()
        self.count += len(labels)

    def result(self) -> dict[str, float]:
        """`accuracy` in [0, 1] and mean cross-entropy `loss`."""
        return {"accuracy": int(self.correct) / self.count, "loss": float(self.loss) / self.count}
