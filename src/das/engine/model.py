"""From image to prediction: the image-to-video step, normalisation and the video network in one module."""

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from das.data.batches import Normalize
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

    Args:
        settings: what a number's settings hold for `backbone` and `method`.
        policy: the image-to-video policy; None for one untouched frame.
        classes: the class names, in the order of the logits.
        mean, std: per channel, of images in [0, 1].
    """

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
        backbone, method = settings["backbone"], settings["method"]
        self.network = video_model(
            backbone["network"],
            num_classes=len(classes),
            frames=self.policy.frames,
            fusion=method["fusion"],
            fusion_options=method["fusion_options"],
            consensus=method["consensus"],
            backbone_options=backbone["options"],
            in_channels=len(mean),
            pretrained=backbone["pretrained"],
            dropout=backbone["dropout"],
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to logits (B, classes)."""
        return self.network(self.normalize(self.video(images)))


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
    model = DasModel(settings, policy or trained, content["classes"], content["mean"], content["std"])
    model.network.load_state_dict(content["weights"])
    return model.eval()
