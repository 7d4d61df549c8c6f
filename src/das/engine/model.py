"""From image to prediction: the image-to-video step, normalisation and the video network in one module."""

import hashlib
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.data.batches import Batches, Normalize
from das.data.names import READERS
from das.data.sets import FileSet, ImageSet
from das.engine.resume import torch_bytes
from das.errors import DasError
from das.files import publish
from das.models import video_model
from das.video.policy import Policy
from das.video.transform import ImageToVideo

FORMAT = "das-checkpoint"
VERSION = 1


class DasModel(nn.Module):
    """A classifier of images that looks at each one as a video of its transformed copies.

    What training, testing and searching need to know of the task is here; `das.engine.segmentation` overrides it.
    ``metric`` names the score of a test that counts.

    Args:
        settings: a number's settings (`das.config.Number.settings`).
        policy: the image-to-video policy; None for one untouched frame.
        classes: the class names, in the order of the logits.
        mean, std: per channel, of images in [0, 1].
    """

    metric = "accuracy"

    def __init__(
        self,
        settings: dict[str, Any],
        policy: Policy | None,
        classes: Sequence[str],
        mean: Sequence[float] | Tensor,
        std: Sequence[float] | Tensor,
    ):
        super().__init__()
        self.policy = policy or Policy.replicate(1)
        self.classes = tuple(classes)
        self.video = ImageToVideo(self.policy)
        self.mean, self.std = ([float(v) for v in values] for values in (mean, std))
        self.normalize = Normalize(mean, std)
        self.network = self.build(settings["backbone"], settings["method"], self.policy.frames)

    def build(self, backbone: dict[str, Any], method: dict[str, Any], frames: int) -> nn.Module:
        """The network, from videos (B, T, C, H, W) to logits."""
        return video_model(
            backbone["network"],
            num_classes=len(self.classes),
            frames=frames,
            fusion=method["fusion"],
            fusion_options=method["fusion_options"],
            consensus=method["consensus"],
            backbone_options=backbone["options"],
            in_channels=len(self.mean),
            pretrained=backbone["pretrained"],
            dropout=backbone["dropout"],
        )

    def forward(self, images: Tensor, to_video: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, classes), through another ``to_video`` than the policy's."""
        return self.network(self.normalize((to_video or self.video)(images)))

    def batches(self, images: ImageSet | FileSet, batch_size: int, device: torch.device) -> Batches:
        """What a test reads, for `predict` and `score`."""
        return Batches(images, batch_size, device=device)

    def predict(self, images: Tensor) -> Tensor:
        """Images to logits, as they are tested."""
        return self(images)

    def criterion(self, recipe: dict[str, Any]) -> nn.Module:
        """The loss that a training minimises: what `forward` returns in training, and labels, to a scalar."""
        return nn.CrossEntropyLoss(label_smoothing=recipe["label_smoothing"])

    def learning_rates(self, recipe: dict[str, Any]) -> dict[nn.Parameter, float]:
        """Parameters that learn at a multiple of the recipe's rate, and the multiple."""
        return {}

    def score(self, device: torch.device) -> "Accuracy":
        """What adds up the test's predictions: ``add(logits, labels)`` by batch, then ``result()``."""
        return Accuracy(device)

    @staticmethod
    def right(logits: Tensor, labels: Tensor) -> Tensor:
        """The share of a batch's labels that are told rightly, a scalar in [0, 1]."""
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


def make_model(settings: dict[str, Any], *arguments: Any) -> DasModel:
    """The model for the task of a number's data set; ``arguments`` are those of `DasModel` after the settings."""
    if READERS[settings["dataset"]["reader"]].task == "segmentation":
        from das.engine.segmentation import SegmentationModel

        return SegmentationModel(settings, *arguments)
    return DasModel(settings, *arguments)


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of every weight and buffer, by name and bit."""
    digest = hashlib.sha256()
    for name, tensor in model.network.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def save_checkpoint(path: str | Path, model: DasModel, settings: dict[str, Any]) -> None:
    """Write everything that `load_model` needs to ``path``, in one step."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "settings": settings,
        "policy": model.policy.dumps(),
        "classes": list(model.classes),
        "mean": model.mean,
        "std": model.std,
        "weights": {name: tensor.detach().cpu() for name, tensor in model.network.state_dict().items()},
    }
    publish(path, torch_bytes(content))


def load_model(path: str | Path, policy: Policy | None = None, consensus: str | None = None) -> DasModel:
    """Return the trained model of a checkpoint, in evaluation mode: images (B, C, H, W) in [0, 1] to logits.

    Args:
        policy: look through this policy's frames instead of those it was trained on. A network that was trained
            without fusion takes any number of frames.
        consensus: combine the frames' predictions in this way instead of the trained one.

    Raises DasError for a file that is missing, damaged, or no checkpoint of this version.
    """
    path = Path(path)
    if not path.exists():
        raise DasError(f"{path}: does not exist; make it with `das train` or `snakemake {path}`")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise DasError(f"{path}: is damaged ({str(error).splitlines()[0]}); delete it and make it again") from None
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise DasError(f"{path}: is no {FORMAT} of version {VERSION}; delete it and make it again")
    settings = content["settings"]
    if consensus:
        settings = settings | {"method": settings["method"] | {"consensus": consensus}}
    settings = settings | {"backbone": settings["backbone"] | {"pretrained": False}}
    trained = Policy.loads(content["policy"])
    model = make_model(settings, policy or trained, content["classes"], content["mean"], content["std"])
    model.network.load_state_dict(content["weights"])
    return model.eval()
