"""A first study of one's own images: what `das new` writes, and the rules that it states there."""

import json
from dataclasses import dataclass
from math import ceil
from string import Template
from typing import Any

from pydantic import TypeAdapter, ValidationError

from das.errors import DasError
from das.study.values import Name

STEPS = 1000  # optimizer steps of a training
SEARCH_STEPS = 300  # of a search
EPOCHS = (10, 200)  # at least and at most
CHOOSING = 1000  # training images from which on a tenth of them chooses the epoch
BATCHES = ((500, 16), (2000, 32))  # below so many training images: so many in a step; above, LARGE
LARGE = 64
SIDES = {"cpu": 64, "cuda": 128}
PRETRAINED_SIDES = {"cpu": 128, "cuda": 224}
PRETRAINED = "resnet18"  # has ImageNet weights


@dataclass(frozen=True)
class Found:
    """What of a folder decides its study.

    Attributes:
        reader: `folder` or `pairs`.
        train, test: images.
        shorter: median of the images' shorter sides, pixels.
        device: `cpu` or `cuda`.
        pretrained: whether the weights of PRETRAINED are at hand.
    """

    reader: str
    train: int
    test: int
    classes: int
    shorter: int
    device: str
    pretrained: bool


def write(name: str, root: str, found: Found) -> str:
    """The text of a study called ``name`` of the images under ``root``, to be layered over params.yaml.

    Raises DasError for a name that cannot stand in paths.
    """
    try:
        TypeAdapter(Name).validate_python(name)
    except ValidationError:
        raise DasError(f"NAME: is {name!r}; should be small letters, digits and _, such as my_photos") from None
    template = _DENSE if found.reader == "pairs" else _LABELED
    facts = settings(found)
    return template.substitute(
        name=name, root=json.dumps(root), **facts, **_reasons(found, facts), count=_count(found), lowest=EPOCHS[0],
        highest=EPOCHS[1], target=STEPS, search_target=SEARCH_STEPS,
    )  # fmt: skip


def settings(found: Found) -> dict[str, Any]:
    """What the rules make of ``found``: size, padding, batch, epochs, steps, validation, network and the like."""
    labeled = found.reader == "folder"
    pretrained = found.pretrained and labeled
    largest = (PRETRAINED_SIDES if pretrained else SIDES)[found.device]
    size = max(32, min(largest, found.shorter // 8 * 8))
    validation = 0.1 if found.train >= CHOOSING else None
    kept = found.train - int(found.train * (validation or 0))
    batch = next((size for below, size in BATCHES if kept < below), LARGE)
    batch = max(2, min(batch, kept // 2))
    network = PRETRAINED if pretrained else "resnet8" if found.device == "cpu" else "resnet18_cifar"
    epochs = _epochs(STEPS, kept // batch)
    return {
        "size": size,
        "padding": size // 8,
        "batch": batch,
        "epochs": epochs,
        "steps": epochs * (kept // batch),
        "search_epochs": _epochs(SEARCH_STEPS, found.train // 2 // batch),
        "validation": "null" if validation is None else validation,
        "network": network,
        "backbone": f"{network}_pretrained" if pretrained else network if labeled else f"pspnet_{network}",
        "pretrained": str(pretrained).lower(),
        "lr": 0.0003 if pretrained else 0.003,
        "device": found.device,
    }


def _epochs(steps: int, in_epoch: int) -> int:
    return min(max(ceil(steps / max(in_epoch, 1)), EPOCHS[0]), EPOCHS[1])
