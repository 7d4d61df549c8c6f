"""Which pixels of the *image* a network's center output sees: in theory, and how strongly in effect.

The output is the last feature map before pooling, at its center, summed over channels and (as their mean is the
prediction) over frames. The image-to-video step lies between image and network, so it reshapes the field.
"""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from das.errors import DasError
from das.models import VideoModel, video_model
from das.seeding import derive
from das.tasks.classification import DasModel
from das.video.operations import operation_named
from das.video.policy import Choice, Edge, Policy
from das.video.transform import ImageToVideo

SHARES = (0.2, 0.3, 0.5, 0.99)


def effective(
    model: "VideoModel | Trained", images: Tensor, policy: Policy | None = None, *, rectified: bool = False
) -> np.ndarray:
    """Effective receptive field (Luo et al. 2016) of ``model`` in evaluation, on ``images`` (N, C, H, W) in [0, 1].

    ``policy`` makes the videos; without one the model reads each image as one frame. Returns (H, W): the absolute
    (``rectified``: only the positive) gradient at each pixel, summed over channels, averaged over images.
    """
    gradient = _gradient(copy.deepcopy(model).eval(), images, policy)
    gradient = gradient.clamp(min=0) if rectified else gradient.abs()
    return gradient.sum(1).mean(0).numpy(force=True)


class Trained(nn.Module):
    """A trained classifier as `effective` reads networks: from videos in [0, 1], which it normalizes as in training."""

    def __init__(self, model: DasModel):
        super().__init__()
        self.network, self.normalize = model.network, model.normalize

    def forward(self, videos: Tensor) -> Tensor:
        """Videos (B, T, C, H, W) in [0, 1] -> logits (B, K)."""
        return self.network(self.normalize(videos))


def theoretical(model: VideoModel, image_size: tuple[int, int], policy: Policy | None = None) -> np.ndarray:
    """Theoretical receptive field: (H, W), true where a pixel can reach the output at all.

    Found as the support of the gradient with every weight positive, every norm the identity, and mean in place of
    maximum pooling. Gates and attention, whose weights depend on all pixels, are not followed.
    """
    model = copy.deepcopy(model).double().eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.weight.data.fill_(1 / module.weight[0].numel())
            if module.bias is not None:
                module.bias.data.zero_()
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif isinstance(module, nn.MaxPool2d):
            model.set_submodule(name, nn.AvgPool2d(module.kernel_size, module.stride, module.padding))
    image = torch.ones(1, model.in_channels, *image_size, dtype=torch.float64)
    return (_gradient(model, image, policy).sum((0, 1)) > 0).numpy()


def _gradient(model: "VideoModel | Trained", images: Tensor, policy: Policy | None) -> Tensor:
    """Gradient of the center output with respect to ``images``."""
    images = images.detach().clone().requires_grad_()
    maps = []
    hooks = [
        module.register_forward_hook(lambda module, args, out: maps.append(out) if out.dim() == 4 else None)
        for module in model.network.modules()
        if isinstance(module, nn.ReLU | nn.ReLU6 | nn.Hardswish | nn.SiLU)
    ]
    if not hooks:
        raise DasError(f"receptive field: {type(model.network).__name__} has no activation whose map could be read")
    model(images[:, None] if policy is None else ImageToVideo(policy)(images))
    for hook in hooks:
        hook.remove()
    last = maps[-1]
    (gradient,) = torch.autograd.grad(last[:, :, last.shape[2] // 2, last.shape[3] // 2].sum(), images)
    return gradient


def areas(field: np.ndarray, shares: Sequence[float] = SHARES) -> pd.DataFrame:
    """The smallest centered square that holds each share of ``field`` (H, W): columns share, side, area.

    Sides are odd numbers of pixels about pixel (H // 2, W // 2); ``area`` is the part of the image that the square
    covers. DasError if the field is zero.
    """
    if not field.sum() > 0:
        raise DasError("receptive field: the field is zero everywhere; the output sees no pixel")
    height, width = field.shape
    rows, columns = np.arange(height) - height // 2, np.arange(width) - width // 2
    distance = np.maximum(np.abs(rows)[:, None], np.abs(columns))
    held = np.array([field[distance <= radius].sum() for radius in range(distance.max() + 1)]) / field.sum()
    radii = [int(np.argmax(held >= share * (1 - 1e-6))) for share in shares]
    return pd.DataFrame(
        {
            "share": list(shares),
            "side": [2 * radius + 1 for radius in radii],
            "area": [(distance <= radius).mean() for radius in radii],
        }
    )


def single_operations(frames: int, schedule: str = "mirrored") -> dict[str, Policy]:
    """The replicated image and each single move of the image, at half the largest magnitude its search draws."""
    policies = {f"{frames} identical frames": _single(Choice("identity"), frames, schedule)}
    for name in ("translate_x", "translate_y", "zoom", "rotate"):
        magnitude = operation_named(name).ranges[0].grid()[2]
        policies[name] = _single(Choice(name, (magnitude,)), frames, schedule)
    return policies


def _single(choice: Choice, frames: int, schedule: str) -> Policy:
    return Policy(frames=frames, nodes=((Edge("image", (choice,)),),), schedule=schedule)


def compare(
    backbone: str,
    images: Tensor,
    policies: Mapping[str, Policy],
    *,
    fusion: str = "tsm",
    fusion_options: Mapping | None = None,
    backbone_options: Mapping | None = None,
    networks: int = 8,
    seed: int = 0,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Effective and theoretical field, (H, W) each, of "one frame" and of each of ``policies``, for untrained weights.

    Effective fields are averaged over ``networks`` draws of the weights, the same draws for every panel.
    """
    fields = {}
    for name, policy in {"one frame": None, **policies}.items():
        frames, inside = (1, "none") if policy is None else (policy.frames, fusion)
        total = 0
        for number in range(networks):
            with torch.random.fork_rng():
                torch.manual_seed(derive("receptive field", backbone, seed, number))
                model = video_model(
                    backbone,
                    10,
                    frames,
                    fusion=inside,
                    fusion_options={} if inside == "none" else fusion_options,
                    in_channels=images.shape[1],
                    backbone_options=backbone_options,
                )
            total = total + effective(model, images, policy)
        fields[name] = total / networks, theoretical(model, images.shape[2:], policy)
    return fields
