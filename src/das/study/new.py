"""A first study of one's own images: what `das new` writes, and the rules that it states there."""

import json
import math
from dataclasses import dataclass
from string import Template
from typing import Any

from pydantic import TypeAdapter, ValidationError

from das.errors import DasError
from das.study.values import Name

STEPS = 1000  # optimizer steps of a training, and
SEARCH_STEPS = 300  # of a search, at least, within
EPOCHS = (20, 200)
VALIDATED = 1000  # training images from which on a tenth of them chooses the epoch
BATCHES = {500: 16, 2000: 32}  # below so many training images: so many in a step; above:
LARGE_BATCH = 64
ADAMW_BELOW = 5000  # training images; from there on SGD
SIDES = {"cpu": 64, "cuda": 128}
PRETRAINED_SIDES = {"cpu": 128, "cuda": 224}
NETWORKS = {"cpu": "resnet8", "cuda": "resnet18"}
PRETRAINED = "resnet18"  # the network whose ImageNet weights are looked for


@dataclass(frozen=True)
class Found:
    """What of a folder, and of the machine, decides a study.

    Attributes:
        reader: `folder` or `pairs`.
        train, test, classes: their numbers.
        shorter: median of the images' shorter sides, pixels.
        device: `cpu` or `cuda`.
        pretrained: whether the weights of PRETRAINED can be had.
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
    return _TEXT.substitute(settings(found), name=name, root=json.dumps(root), reader=found.reader)


def settings(found: Found) -> dict[str, Any]:
    """What the rules make of ``found``, by the names of the template."""
    dense = found.reader == "pairs"
    pretrained = found.pretrained
    sides = PRETRAINED_SIDES if pretrained else SIDES
    kept = found.train - found.train // 10 if found.train >= VALIDATED else found.train
    batch = min(batch_size(found.train), max(2, kept // 2))
    network = PRETRAINED if pretrained else NETWORKS[found.device]
    adamw = pretrained or found.train < ADAMW_BELOW
    size = max(32, min(sides[found.device], found.shorter // 8 * 8))
    epochs = _epochs(STEPS, kept // batch)
    return {
        "device": found.device,
        "train": found.train,
        "test": found.test,
        "classes": found.classes,
        "shorter": found.shorter,
        "size": size,
        "size_rule": f"{SIDES['cpu']} on a CPU, {SIDES['cuda']} on a GPU ({PRETRAINED_SIDES['cpu']} and "
        f"{PRETRAINED_SIDES['cuda']} with ImageNet weights), never more than the images have",
        "network": network,
        "backbone": ("pspnet_" if dense else "") + network + ("_pretrained" if pretrained else ""),
        "head": "\n    head: {network: pspnet, output_stride: 8}" if dense else "",
        "pretrained": str(pretrained).lower(),
        "pretrained_rule": "starts from ImageNet weights"
        if pretrained
        else f"the ImageNet weights of {PRETRAINED} could not be had here: from scratch",
        "batch": batch,
        "epochs": epochs,
        "steps": epochs * (kept // batch),
        "optimizer": "adamw" if adamw else "sgd",
        "lr": 0.0003 if pretrained else 0.003 if adamw else 0.1,
        "weight_decay": 0.05 if adamw else 0.0005,
        "optimizer_rule": f"AdamW below {ADAMW_BELOW:,} training images and from ImageNet weights, else SGD",
        "warmup": max(1, round(epochs / 20)),
        "test_every": max(1, epochs // 20),
        "validation": "null" if kept == found.train else 0.1,
        "validation_rule": "the last epoch is taken: too few images to spare some for choosing one, and the learning "
        "rate has come to rest"
        if kept == found.train
        else "this part of the training images chooses the epoch; the test images are seen once",
        "augment": "[random_flip]" if dense else f"[{{random_crop: {{padding: {size // 8}}}}}, random_flip]",
        "search_epochs": search_epochs(found.train, batch),
        "least": EPOCHS[0],
        "most": EPOCHS[1],
        "wanted": STEPS,
        "wanted_search": SEARCH_STEPS,
    }


def batch_size(train: int) -> int:
    """Images in a step, where there are ``train`` to train on: no more than half of them."""
    batch = next((batch for below, batch in BATCHES.items() if train < below), LARGE_BATCH)
    return max(2, min(batch, train // 2))


def search_epochs(train: int, batch: int) -> int:
    """Epochs of a search whose steps read ``batch`` of one half of ``train`` images."""
    return _epochs(SEARCH_STEPS, train // 2 // batch)


def _epochs(steps: int, in_epoch: int) -> int:
    """Epochs of ``in_epoch`` steps that make up at least ``steps``, within EPOCHS."""
    least, most = EPOCHS
    return min(max(math.ceil(steps / max(in_epoch, 1)), least), most)


_TEXT = Template("""\
# Written by `das new`, layered over params.yaml; change what you like. Every key: docs/reference.md.
#   uv run snakemake --cores all results/tables --configfile $name.yaml
#   uv run das predict results/checkpoints/$name/$name/$backbone/das_one_edge/seed0.pt PICTURES --csv predictions.csv
# The values of the rules below rest on a few measurements of one data set (280 images of CIFAR-10, 300 steps: AdamW at
# 0.003 led by 1 to 2 points of accuracy): a start, not the best for yours.
# Found: $train training and $test test images of $classes classes, shorter side $shorter pixels (median).
study:
  name: $name
  datasets: [$name]
  backbones: [$backbone]
  methods: [baseline, das_one_edge] # a single frame, and the search that measured best (docs/policy_benchmark.md)
  seeds: [0] # more seeds give intervals

compute: {device: $device}

datasets:
  $name:
    title: $name ($train training images, $test test images)
    reader: $reader
    root: $root
    options: {size: $size} # $size_rule
    recipe: $name
    augment: $augment

backbones:
  $backbone:
    title: $backbone
    network: $network
    pretrained: $pretrained # $pretrained_rule$head

recipes:
  $name:
    epochs: $epochs # for $wanted steps, but no fewer than $least and no more than $most epochs: $steps steps
    batch_size: $batch # 16 below 500 training images, 32 below 2,000, else 64
    optimizer: $optimizer # $optimizer_rule
    lr: $lr
    weight_decay: $weight_decay
    schedule: cosine
    warmup_epochs: $warmup
    test_every: $test_every
    validation: $validation # $validation_rule

searches:
  fast: {epochs: $search_epochs, batch_size: $batch} # for $wanted_search steps on half of them, as above
""")
