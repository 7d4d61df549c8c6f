"""Where temporal fusion goes in a 2D network, found from the shape of its residual blocks."""

import re
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from torch import nn

from das.errors import DasError
from das.study import registry

LOOKED_FOR = (
    "residual blocks (as in ResNet, RegNet and ConvNeXt) and inverted residual blocks with a shortcut (as in "
    "MobileNet, EfficientNet and MNASNet), as torchvision and timm build them"
)

#: Parts of a block that are no convolution of its branch: shortcuts and squeeze-excitations.
BESIDE = re.compile(r"(^|\.)(proj|shortcut|downsample|se|fc1|fc2)(\.|$)")


class Branch(NamedTuple):
    """A residual branch: the stage (module) its block stands in, and its convolutions' names, first to last."""

    stage: str
    convs: list[str]


def _branch_of(block: nn.Module) -> list[str] | None:
    """Names inside ``block`` of the convolutions of its residual branch; None if it is no block with a shortcut."""
    if all(isinstance(getattr(block, name, None), nn.Conv2d) for name in ("conv1", "conv2")) and hasattr(block, "bn2"):
        return [name for name in ("conv1", "conv2", "conv3") if hasattr(block, name)]
    inverted = any(getattr(block, name, False) for name in ("use_res_connect", "apply_residual", "has_skip"))
    named = any(hasattr(block, name) for name in ("proj", "shortcut", "downsample"))
    if (inverted or named) and not hasattr(block, "blocks"):
        convs = [name for name, module in block.named_modules() if isinstance(module, nn.Conv2d)]
        return [name for name in convs if not BESIDE.search(name)] or None
    return None


def residual_branches(network: nn.Module) -> list[Branch]:
    """Every residual branch of ``network`` in order; empty if it has none that the rules know."""
    found = []
    for name, block in network.named_modules():
        if convs := _branch_of(block):
            found.append(Branch(name.rpartition(".")[0], [f"{name}.{conv}" for conv in convs]))
    return found


def default_places(network: nn.Module, fusion: registry.Entry) -> list[str]:
    """Names of the convolutions where ``fusion`` goes, as its facts say.

    TSM: each branch's first convolution; in networks with a stage of 23 or more blocks, in every second block (Lin et
    al. 2019, "blockres"). GSM, GSF, and those of one's own that say nothing: the last one, before its norm. GST: the
    last ungrouped 3x3. DasError if there is none.
    """
    branches, place = residual_branches(network), fusion.facts.get("place", "last")
    if fusion.facts.get("sparse"):
        stages = [list(blocks) for _, blocks in groupby(branches, key=lambda branch: branch.stage)]
        every = 2 if any(len(blocks) >= 23 for blocks in stages) else 1
        branches = [block for blocks in stages for block in blocks[::every]]
    if place == "last_3x3":
        plain = [[name for name in b.convs if _is_plain_3x3(network.get_submodule(name))] for b in branches]
        places = [names[-1] for names in plain if names]
    else:
        places = [branch.convs[0 if place == "first" else -1] for branch in branches]
    if not places:
        wanted = "an ungrouped 3x3 convolution in " if place == "last_3x3" else ""
        raise DasError(
            f"fusion {fusion.name}: {type(network).__name__} has no place for it; looked for {wanted}{LOOKED_FOR}; "
            "name convolutions yourself (backbones.NAME.places)"
        )
    return places


def _is_plain_3x3(conv: nn.Conv2d) -> bool:
    return conv.kernel_size == (3, 3) and conv.groups == 1


def insert_fusion(
    network: nn.Module, fusion: str, frames: int, options: Mapping, places: Sequence[str] | None = None
) -> list[str]:
    """Put ``fusion`` into ``network``, in place; returns the names of the convolutions where it was put.

    A place's convolution keeps its state under ``PLACE.conv``; the fusion's is under ``PLACE.FUSION``. DasError for an
    unknown fusion, an option it does not take, a place that is no convolution of the network, or no place at all.
    """
    entry = registry.lookup("fusion", fusion)
    options = entry.check(options)
    if fusion == "none" or entry.facts.get("tiled"):
        return []
    places = default_places(network, entry) if places is None else list(places)
    convs = {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    for place in places:
        if place not in convs:
            raise DasError(
                f"places: {place!r} is no 2D convolution of {type(network).__name__}; it has {', '.join(convs)}"
            )
        try:
            network.set_submodule(place, entry.load()(convs[place], frames, **options))
        except DasError as error:
            raise DasError(f"{place}: {error}") from None
    return places
