"""Checkpoints: a trained model in one file, which vouches for its own content."""

import hashlib
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from das import tasks
from das.engine.resume import torch_bytes
from das.errors import DasError
from das.study.schema import Architecture
from das.tasks.classification import DasModel
from das.video.policy import Policy

FORMAT = "das-checkpoint"
VERSION = 2


def weights_digest(model: DasModel) -> str:
    """SHA-256 of every weight and buffer of the network, by name and bit."""
    return _digest(model.network.state_dict())


def checkpoint(model: DasModel) -> bytes:
    """The bytes of a checkpoint: everything that `load_model` needs, and its SHA-256."""
    content = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": model.architecture.model_dump(),
        "policy": model.policy.dumps(),
        "classes": list(model.classes),
        "mean": model.mean,
        "std": model.std,
        "weights": {name: tensor.detach().cpu() for name, tensor in model.network.state_dict().items()},
    }
    return torch_bytes(content | {"sha256": _seal(content)})


def load_model(path: str | Path, policy: Policy | None = None, consensus: str | None = None) -> DasModel:
    """Return the trained model of a checkpoint, in evaluation mode: images (B, C, H, W) in [0, 1] to logits.

    Args:
        policy: look through this policy's frames instead of those it was trained on. A network that was trained
            without fusion takes any number of frames.
        consensus: combine the frames' predictions in this way instead of the trained one.

    Raises DasError for a file that is missing, damaged, or no checkpoint of this version.
    """
    path = Path(path)
    content = _read(path)
    try:
        architecture = Architecture.model_validate(content["architecture"] | {"pretrained": False})
        if consensus:
            architecture = architecture.model_copy(update={"consensus": consensus})
        if policy:
            architecture = architecture.model_copy(update={"views": None})
        chosen = policy or Policy.loads(content["policy"])
        model: DasModel = tasks.model(architecture, chosen, content["classes"], content["mean"], content["std"])
        model.network.load_state_dict(content["weights"])
    except ValidationError as error:
        raise DasError(f"{path}: its architecture is not one of this version ({error.errors()[0]['loc']})") from None
    except RuntimeError as error:
        raise DasError(f"{path}: its weights do not fit the network ({' '.join(str(error).split())[:200]})") from None
    return model.eval()


def _read(path: Path) -> dict[str, Any]:
    """The content of a checkpoint whose SHA-256 fits."""
    if path.is_dir():
        raise DasError(f"{path}: is a folder; name the checkpoint's file, such as {path}/seed0.pt")
    if not path.exists():
        raise DasError(f"{path}: does not exist; make it with `das train` or `snakemake --cores all {path}`")
    if not zipfile.is_zipfile(path):
        raise DasError(f"{path}: is no checkpoint (those of `das train` end in .pt), or was cut short")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, TypeError, AttributeError, pickle.UnpicklingError,
            UnicodeDecodeError, OverflowError, IndexError) as error:  # fmt: skip
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DasError(f"{path}: is damaged ({reason}); delete it and make it again") from None
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise DasError(f"{path}: is no {FORMAT} of version {VERSION}; delete it and make it again")
    seal = content.pop("sha256", None)
    try:
        intact = seal == _seal(content)
    except (KeyError, TypeError, AttributeError, RuntimeError):
        intact = False
    if not intact:
        raise DasError(f"{path}: is damaged (its SHA-256 does not fit its content); delete it and make it again")
    return content


def _seal(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "weights"}
    shapes = [(name, str(tensor.dtype), list(tensor.shape)) for name, tensor in content["weights"].items()]
    text = json.dumps([rest, shapes], sort_keys=True) + _digest(content["weights"])
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(weights: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in weights.items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
