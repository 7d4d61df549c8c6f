"""The inside of a 2D network: its stages, its pooling and its classifier, and what flows through them."""

import contextlib
import re
from collections.abc import Callable, Iterator

from torch import Tensor, nn

from das.errors import DasError
from das.study import registry


def stages(network: nn.Module) -> list[str]:
    """Names of the network's stages in order (layer1, layer2, ...). DasError for a network that is not built so."""
    found = [name for name, _ in network.named_children() if re.fullmatch(r"layer\d+", name)]
    if len(found) < 2:
        raise DasError(f"augment: {type(network).__name__} has no stages layer1, layer2, ...; use a residual network")
    return found


def stage(network: nn.Module, name: str) -> nn.Module:
    """The stage called ``name``. DasError lists those that exist."""
    if name not in stages(network):
        raise DasError(f"augment: the network has no stage {name!r}; should be one of {', '.join(stages(network))}")
    return network.get_submodule(name)


def classifier(network: nn.Module) -> nn.Linear:
    """The last linear layer."""
    return [module for module in network.modules() if isinstance(module, nn.Linear)][-1]


def pooling(network: nn.Module) -> nn.Module:
    """The global pooling before the classifier. DasError for a network that pools without a module of that name."""
    if not hasattr(network, "avgpool"):
        raise DasError(f"augment: {type(network).__name__} has no pooling module `avgpool`; use a residual network")
    return network.avgpool


def pooled_channels(network: nn.Module) -> int:
    """Channels of the feature map that is pooled: what the first linear layer after the pooling reads."""
    modules = list(network.modules())
    after = modules[modules.index(pooling(network)) :]
    return next(module.in_features for module in after if isinstance(module, nn.Linear))


@contextlib.contextmanager
def watching(module: nn.Module) -> Iterator[list[Tensor]]:
    """A list that receives what ``module`` reads while the context lasts."""
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        yield seen
    finally:
        handle.remove()


@contextlib.contextmanager
def changing(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Pass what ``module`` returns through ``change`` while the context lasts."""
    handle = module.register_forward_hook(lambda _, inputs, output: change(output))
    try:
        yield
    finally:
        handle.remove()


class _Enough(Exception):
    pass


def output_of(module: nn.Module, run: Callable[[], Tensor]) -> Tensor:
    """What ``module`` returns when ``run`` is called; what would come after it is not computed."""
    kept = []

    def keep(_, inputs, output):
        kept.append(output)
        raise _Enough

    handle = module.register_forward_hook(keep)
    try:
        run()
    except _Enough:
        pass
    finally:
        handle.remove()
    return kept[0]


def untouched_frame(features: Tensor, frames: int) -> Tensor:
    """Frame T//2 of features folded to (B*T, ...), whose places are the image's: (B, ...)."""
    return features.unflatten(0, (-1, frames))[:, frames // 2]


def require_image_sized_frames(model: nn.Module, name: str) -> None:
    """Raise DasError where places in what the network reads are not the image's: on a canvas, in tiled frames."""
    if registry.lookup("fusion", model.architecture.fusion).facts.get("tiled"):
        raise DasError(f"augment: {name} needs frames that the network reads one by one; fusion 'tiled' joins them")
    if model.policy.canvas is not None:
        raise DasError(
            f"augment: {name} needs frames as large as the image; the policy's canvas is {model.policy.canvas}"
        )
