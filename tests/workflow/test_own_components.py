"""A study with a reader, a network, an augmentation and an operation of the user's own, from files beside the study,
and one network of timm: searched, trained, kept; and made again when one of those files changes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]

PARTS = '''
import math

import torch
from torch import nn

from das.data.augmentation import Augmentation
from das.data.sets import Dataset, ImageSet
from das.video.operations import Operation, Range


def stripes(reader, root, options, count=24):
    """Three classes of stripes: across, along, slanted."""
    def split(name):
        draws = torch.Generator().manual_seed(len(name))
        labels = torch.arange(options.get("count", count)) % 3
        y, x = torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij")
        waves = torch.stack([y, x, x + y])[labels]
        noise = torch.rand(len(labels), 16, 16, generator=draws)
        return ImageSet((127 * (waves.sin() * 0.8 + noise * 0.2 + 1)).clamp(0, 255).to(torch.uint8)[:, None], labels)

    return Dataset(reader, split, ("across", "along", "slanted"))


stripes.facts = {"task": "classification", "size": 16, "channels": 1}


def small_net(in_channels, width=8):
    return nn.Sequential(
        nn.Conv2d(in_channels, width, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 10),
    )


class Darken(Augmentation):
    def __init__(self, least=0.5):
        self.least = least

    def __call__(self, images, labels, generator):
        share = self.least + (1 - self.least) * torch.rand(len(images), 1, 1, 1, generator=generator)
        return images * share.to(images.device), labels


def _squeeze(magnitudes, strengths, height, width):
    one, zero = torch.ones_like(strengths), torch.zeros_like(strengths)
    rows = [magnitudes[0] ** -strengths, zero, zero, zero, one, zero, zero, zero, one]
    return torch.stack([row * one for row in rows], -1).unflatten(-1, (3, 3))


squeeze = Operation("parts:squeeze", (Range((0.8, 1.25), (0.5, 2), 1, "times"),), inverse=_squeeze)
'''
STUDY = {
    "study": {"name": "own", "datasets": ["stripes"], "backbones": ["small"], "methods": ["baseline", "das"],
              "seeds": [0]},
    "datasets": {
        "stripes": {
            "title": "Stripes", "reader": "parts:stripes", "root": "parts.py", "recipe": "short",
            "augment": ["random_flip", {"parts:Darken": {"least": 0.7}}],
        }
    },
    "backbones": {
        "small": {"title": "Small", "network": "parts:small_net", "options": {"width": 12}, "places": ["0"]},
        "theirs": {"title": "timm's", "network": "timm:resnet10t", "places": ["layer4.0.conv2"]},
    },
    "recipes": {"short": {"epochs": 2, "batch_size": 8, "lr": 0.05, "optimizer": "adamw"}},
    "cells": {"quick": {"space": ["identity", "zoom", "parts:squeeze"], "frames": 3, "nodes": 1, "schedule": "signed"}},
    "searches": {"quick": {"epochs": 1, "batch_size": 8}},
    "policies": {"searched": {"fusion": "gsm"}},
    "methods": {"das": {"fusion": "gsm"}},
}  # fmt: skip


@pytest.fixture
def project(tmp_path):
    (tmp_path / "parts.py").write_text(PARTS)
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(STUDY))
    return tmp_path


def das(project, *arguments):
    studies = ("--study", ROOT / "params.yaml", "--study", "own.yaml")
    command = [Path(sys.executable).parent / "das", *arguments, *studies]
    return subprocess.run(list(map(str, command)), cwd=project, capture_output=True, text=True)


def made(project, *arguments) -> str:
    done = das(project, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_ones_own_parts_are_searched_trained_recorded_and_followed(project):
    made(project, "search", "stripes", "small", "searched")
    policy = yaml.safe_load((project / "results/policies/own/stripes/small/searched/seed0.yaml").read_text())
    assert policy["space"] == ["identity", "zoom", "parts:squeeze"]
    made(project, "train", "stripes", "small", "das")
    record = json.loads((project / "results/numbers/own/stripes/small/das/seed0.run.json").read_text())
    assert set(record["sources"]) == {f"parts:{part}" for part in ("stripes", "small_net", "Darken", "squeeze")}
    assert "is there already" in made(project, "train", "stripes", "small", "das")

    (project / "parts.py").write_text(PARTS.replace("0.8 + noise * 0.2", "0.7 + noise * 0.3"))
    done = das(project, "evaluate", "stripes", "small", "baseline_tta")
    assert done.returncode == 1  # its weights are not there, and the policy is another study's now
    again = made(project, "search", "stripes", "small", "searched")
    assert "taken from" not in again
    assert "epoch 1/1" in again


def test_a_network_of_timm_is_trained(project):
    made(project, "train", "stripes", "theirs", "baseline")
    made(project, "search", "stripes", "theirs", "random")
    made(project, "train", "stripes", "theirs", "random")
    number = json.loads((project / "results/numbers/own/stripes/theirs/random/seed0.json").read_text())
    assert number["settings"]["backbone"]["network"] == "timm:resnet10t"


SMALL = {"title": "Small", "network": "parts:small_net"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"backbones": {"small": SMALL | {"network": "parts:large_net"}}}, "module 'parts' has no 'large_net'"),
        ({"backbones": {"small": SMALL | {"network": "nowhere:net"}}}, "module 'nowhere' cannot be imported"),
        ({"backbones": {"small": SMALL | {"options": {"depth": 3}}}}, "backbones.small.options.depth: unknown option"),
        ({"cells": {"quick": {"space": ["identity"], "frames": 3}}}, "should list two or more operations"),
    ],
)
def test_what_does_not_fit_stops_at_the_start(project, change, words):
    (project / "own.yaml").write_text(yaml.safe_dump(STUDY | change))
    done = das(project, "train", "stripes", "small", "baseline")
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr
