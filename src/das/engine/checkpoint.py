"""Checkpoints: a trained model in one file, which vouches for its own content."""

import hashlib
import json
import math
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from das import tasks
from das.data.crops import as_described, described
from das.engine.resume import torch_bytes
from das.errors import DasError
from das.study.registry import wanted
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
        "framing": described(model.framing) if model.framing else None,
        "colors": model.colors,
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
    if consensus:
        content["architecture"] = {**content["architecture"], "consensus": consensus}
    try:
        architecture = Architecture.model_validate({**content["architecture"], "pretrained": False})
        if policy:
            architecture = architecture.model_copy(update={"views": None})
        chosen = policy or Policy.loads(content["policy"])
        model: DasModel = tasks.model(architecture, chosen, content["classes"], content["mean"], content["std"])
        for name, own in model.network.state_dict().items():
            if name in content["weights"] and content["weights"][name].dtype != own.dtype:  # torch would convert it
                raise DasError(f"weights: {name}: is {content['weights'][name].dtype}; should be {own.dtype}")
        model.network.load_state_dict(content["weights"])
        if framing := content["framing"]:
            model.framing = as_described(framing)
        model.colors = content["colors"]
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise DasError(f"{path}: architecture.{where}: {wanted(error.errors()[0])}") from None
    except DasError as error:
        raise DasError(f"{path}: {error}") from None
    except (RuntimeError, ValueError, TypeError) as error:  # torch's own words for shapes that cannot be
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
    except Exception as error:  # torch raises nearly anything, and advises to trust what it refused
        reason = "holds more than weights" if isinstance(error, pickle.UnpicklingError) else type(error).__name__
        raise DasError(f"{path}: is damaged ({reason}); delete it and make it again") from None
    if not isinstance(content, dict) or (content.get("format"), content.get("version")) != (FORMAT, VERSION):
        raise DasError(f"{path}: is no {FORMAT} of version {VERSION}; delete it and make it again")
    _check_shape(path, content)
    seal = content.pop("sha256", None)
    try:
        intact = seal == _seal(content)
    except (TypeError, ValueError, RecursionError, RuntimeError):  # what JSON cannot hold was never sealed
        intact = False
    if not intact:
        raise DasError(f"{path}: is damaged (its SHA-256 does not fit its content); delete it and make it again")
    return content


def _check_shape(path: Path, content: dict[str, Any]) -> None:
    """Raise DasError naming what of a checkpoint is missing or of another kind."""
    for key, (fits, what) in _HOLDS.items():
        if key not in content or not fits(content[key]):
            raise DasError(f"{path}: {key}: is missing or not {what}; delete it and make it again")
    if len(content["mean"]) != len(content["std"]):
        raise DasError(f"{path}: mean and std: have {len(content['mean'])} and {len(content['std'])} channels")
    # A tensor of one number can claim to be as large as you like.
    if sum(tensor.nbytes for tensor in content["weights"].values()) > path.stat().st_size:
        raise DasError(f"{path}: weights: are larger than the file; delete it and make it again")


def _list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, kind) for item in value)


def _are_weights(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(name, str)
        and type(tensor) is Tensor
        and tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        for name, tensor in value.items()
    )


_HOLDS = {
    "architecture": (lambda value: isinstance(value, dict), "a mapping"),
    "policy": (lambda value: isinstance(value, str), "the text of a policy"),
    "classes": (lambda value: _list_of(str, value), "a list of names"),
    "mean": (lambda value: _list_of(float, value) and all(map(math.isfinite, value)), "a list of numbers"),
    "std": (lambda value: _list_of(float, value) and all(0 < v < math.inf for v in value), "a list of numbers above 0"),
    "framing": (lambda value: value is None or isinstance(value, dict), "a mapping or nothing"),
    "colors": (lambda value: value is None or isinstance(value, list | tuple), "a list or nothing"),
    "weights": (_are_weights, "a mapping of names to tensors"),
}


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
