"""Where temporal fusion goes in a 2D network, found from the shape of its residual blocks."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from torch import nn

from das.errors import DasError
from das.models.fusion import GSF, GSM, GST, TSM
from das.models.names import known_fusions

LOOKED_FOR = (
    "residual blocks (as in torchvision's ResNet and RegNet) and inverted residual blocks with a shortcut (as in "
    "torchvision's MobileNet, EfficientNet and MNASNet)"
)

NOT_IN_BRANCH = (
    "proj",
    "shortcut",
)  # torchvision's squeeze-excitations are left out by their convolutions' names fc1, fc2


class Branch(NamedTuple):
    """A residual branch: the stage (module) its block stands in, and its convolutions' names, first to last."""

    stage: str
    convs: list[str]


def _branch_of(block: nn.Module) -> list[str] | None:
    """Names inside ``block`` of the convolutions of its residual branch; None if it is no block with a shortcut."""
    if all(isinstance(getattr(block, name, None), nn.Conv2d) for name in ("conv1", "conv2")) and hasattr(block, "bn2"):
        return [name for name in ("conv1", "conv2", "conv3") if hasattr(block, name)]
    inverted = getattr(block, "use_res_connect", False) or getattr(block, "apply_residual", False)
    if inverted or hasattr(block, "proj") or hasattr(block, "shortcut"):
        return [
            name
            for name, module in block.named_modules()
            if isinstance(module, nn.Conv2d) and not name.startswith(NOT_IN_BRANCH) and ".fc" not in name
        ]
    return None


def residual_branches(network: nn.Module) -> list[Branch]:
    """Every residual branch of ``network`` in order; empty if it has none that the rules know."""
    found = []
    for name, block in network.named_modules():
        if convs := _branch_of(block):
            found.append(Branch(name.rpartition(".")[0], [f"{name}.{conv}" for conv in convs]))
    return found


def default_places(network: nn.Module, fusion: str) -> list[str]:
    """Names of the convolutions where ``fusion`` goes.

    TSM: before each branch's first convolution; in networks with a stage of 23 or more blocks, in every second block
    (Lin et al. 2019, "blockres"). GSM, GSF: after the last one, before its norm. GST: in place of the last ungrouped
    3x3. DasError if there is none.
    """
    branches = residual_branches(network)
    if fusion == "tsm":
        stages = [list(blocks) for _, blocks in groupby(branches, key=lambda branch: branch.stage)]
        every = 2 if any(len(blocks) >= 23 for blocks in stages) else 1
        places = [block.convs[0] for blocks in stages for block in blocks[::every]]
    elif fusion == "gst":
        plain = [[name for name in b.convs if _is_plain_3x3(network.get_submodule(name))] for b in branches]
        places = [names[-1] for names in plain if names]
    else:
        places = [branch.convs[-1] for branch in branches]
    if not places:
        wanted = "an ungrouped 3x3 convolution in " if fusion == "gst" else ""
        raise DasError(
            f"fusion {fusion}: {type(network).__name__} has no place for it; looked for {wanted}{LOOKED_FOR}"
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
    if fusion not in known_fusions():
        raise DasError(f"fusion: {fusion!r} is unknown; known: {', '.join(known_fusions())}")
    if fusion == "none":
        if options or places:
            raise DasError(f"fusion none: takes no options and no places; found {dict(options)} and {places}")
        return []
    places = default_places(network, fusion) if places is None else list(places)
    convs = {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    for place in places:
        if place not in convs:
            raise DasError(
                f"places: {place!r} is no 2D convolution of {type(network).__name__}; it has {', '.join(convs)}"
            )
        network.set_submodule(place, _fused(fusion, convs[place], frames, options, place))
    return places


def _fused(fusion: str, conv: nn.Conv2d, frames: int, options: Mapping, place: str) -> nn.Module:
    try:
        if fusion == "tsm":
            parts = {"tsm": TSM(conv.in_channels, frames, **options), "conv": conv}
        elif fusion == "gsm":
            parts = {"conv": conv, "gsm": GSM(conv.out_channels, frames, **options)}
        elif fusion == "gsf":
            parts = {"conv": conv, "gsf": GSF(conv.out_channels, frames, **options)}
        else:
            parts = {"gst": GST(conv, frames, **options)}
    except TypeError as error:
        raise DasError(f"fusion_options: {dict(options)} for {fusion}: {error}") from None
    except DasError as error:
        raise DasError(f"{place}: {error}") from None
    return nn.Sequential(OrderedDict(parts))
