"""Where temporal fusion goes in a 2D network, found from the shape of its residual blocks."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from torch import nn

from das.errors import DasError
from das.models.fusion import TSM
from das.models.names import known_fusions


class Branch(NamedTuple):
    """A residual branch: the name of its block, the index of the block in its stage, its convolutions in order."""

    block: str
    index: int
    convs: list[str]


def _branch_root(block: nn.Module) -> nn.Module | None:
    """The part of ``block`` that holds its residual branch; None if ``block`` is no residual block."""
    children = dict(block.named_children())
    if {"conv1", "bn1", "conv2", "bn2"} <= children.keys() and (
        "downsample" in children or hasattr(block, "downsample")
    ):
        return block
    return None


def residual_branches(network: nn.Module) -> list[Branch]:
    """Every residual branch of ``network``, in order."""
    found = []
    for name, block in network.named_modules():
        if _branch_root(block) is None:
            continue
        convs = [f"{name}.{child}" for child in ("conv1", "conv2", "conv3") if hasattr(block, child)]
        found.append((name, convs))
    stage = lambda item: item[0].rpartition(".")[0]
    return [Branch(name, i, convs) for _, items in groupby(found, stage) for i, (name, convs) in enumerate(items)]


def default_places(network: nn.Module, fusion: str) -> list[str]:
    branches = residual_branches(network)
    every = 2 if max((b.index for b in branches), default=0) >= 22 else 1
    return [b.convs[0] for b in branches if b.index % every == 0]


def insert_fusion(
    network: nn.Module, fusion: str, frames: int, options: Mapping, places: Sequence[str] | None = None
) -> list[str]:
    """Put ``fusion`` into ``network``, in place; returns the names of the convolutions it was put at."""
    if fusion not in known_fusions():
        raise DasError(f"fusion: {fusion!r} is unknown; known: {', '.join(known_fusions())}")
    if fusion == "none":
        return []
    places = default_places(network, fusion) if places is None else list(places)
    for place in places:
        conv = network.get_submodule(place)
        network.set_submodule(
            place, nn.Sequential(OrderedDict(tsm=TSM(conv.in_channels, frames, **options), conv=conv))
        )
    return places
