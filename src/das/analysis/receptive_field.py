"""Which pixels of the *image* a network's center output sees: in theory, and how strongly in effect.

The output is the last feature map before pooling, at its center, summed over channels and (as their mean is the
prediction) over frames. The image-to-video step lies between image and network, so it reshapes the field.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from das.analysis import results
from das.analysis.figures import STYLE, save_figure
from das.errors import DasError
from das.files import publish
from das.models import VideoModel, video_model
from das.seeding import derive
from das.study.runs import searched_policies
from das.study.schema import Method, Study
from das.video.operations import operation_named
from das.video.policy import Choice, Edge, Policy
from das.video.transform import ImageToVideo

SHARES = (0.2, 0.3, 0.5, 0.99)


def effective(
    model: VideoModel, images: Tensor, policy: Policy | None = None, *, rectified: bool = False
) -> np.ndarray:
    """Effective receptive field (Luo et al. 2016) of ``model`` in evaluation, on ``images`` (N, C, H, W) in [0, 1].

    ``policy`` makes the videos; without one the model reads each image as one frame. Returns (H, W): the absolute
    (``rectified``: only the positive) gradient at each pixel, summed over channels, averaged over images.
    """
    gradient = _gradient(copy.deepcopy(model).eval(), images, policy)
    gradient = gradient.clamp(min=0) if rectified else gradient.abs()
    return gradient.sum(1).mean(0).numpy(force=True)


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


def _gradient(model: VideoModel, images: Tensor, policy: Policy | None) -> Tensor:
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


def figure(fields: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str | None = None) -> Figure:
    """Fields side by side, as ``compare`` gives them, and below each what it has more or less than the first.

    Brightness is a pixel's influence, log10(x + 1), x being 1000 at a panel's strongest pixel; the squares hold 50 %
    and 99 % of it, and outside the dotted line no pixel has any. Below are differences of pixels' shares of the whole
    influence; the strongest half percent of them may lie beyond the ends of the color scale.
    """
    with mpl.rc_context(STYLE | {"axes.spines.top": True, "axes.spines.right": True}):
        chart = Figure(figsize=(1.9 * len(fields) + 1.2, 5.0), layout="compressed")
        upper, lower = chart.subplots(2, len(fields), squeeze=False)
        for axis in (*upper, *lower):
            axis.set(xticks=[], yticks=[])
        for axis, (name, (effect, reach)) in zip(upper, fields.items(), strict=True):
            picture = axis.imshow(_brightness(effect / effect.max()), cmap="magma", vmin=0, vmax=1)
            sides = areas(effect, (0.5, 0.99)).side
            for side, share, color in zip(sides, ("50 %", "99 %"), ("cyan", "white"), strict=True):
                left, top = effect.shape[1] // 2 - side / 2, effect.shape[0] // 2 - side / 2
                axis.add_patch(Rectangle((left, top), side, side, fill=False, edgecolor=color, linewidth=1.2))
                label = {"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 0.8}
                axis.text(left + 1, top + side - 1, share, color=color, fontsize=7, clip_on=True, bbox=label)
            if not reach.all():
                axis.contour(reach, levels=[0.5], colors="lime", linewidths=0.8, linestyles="dotted")
            axis.set_title(name)
            axis.set_xlabel(f"50 % in {sides[0]} x {sides[0]} px\n99 % in {sides[1]} x {sides[1]} px")
        bar = chart.colorbar(picture, ax=upper, shrink=0.8, ticks=[_brightness(x) for x in (0, 0.01, 0.1, 1)])
        bar.ax.set_yticklabels(["0", "1 %", "10 %", "100 %"])
        bar.set_label("influence of a pixel,\nof the strongest one's")

        (first, shares), *others = ((name, effect / effect.sum()) for name, (effect, _) in fields.items())
        lower[0].set_axis_off()
        if others:
            changes = [other - shares for _, other in others]
            limit = np.quantile(np.abs(changes), 0.995)
            for axis, change in zip(lower[1:], changes, strict=True):
                picture = axis.imshow(change, cmap="RdBu_r", vmin=-limit, vmax=limit)
            explanation = f"to the right:\nmore (red) or less (blue)\nof the influence\nthan with {first}"
            lower[0].text(0.5, 0.5, explanation, ha="center", va="center", transform=lower[0].transAxes)
            bar = chart.colorbar(picture, ax=lower, shrink=0.8, ticks=[-limit, 0, limit], extend="both")
            bar.ax.set_yticklabels(["less", "same", "more"])
            bar.set_label(f"share of the influence,\nbeside {first}")
        dotted = "" if all(reach.all() for _, reach in fields.values()) else "; dotted: all that can reach it"
        chart.suptitle(title or f"Where in the image the network's center output looks{dotted}")
    return chart


def _brightness(influence):
    """0 to 1 for an influence of 0 to 1."""
    return np.log10(1e3 * influence + 1) / np.log10(1e3 + 1)


def fused_method(study: Study) -> Method:
    """The grid's first method that fuses frames of a searched policy: whose receptive field the figure shows. Without
    one, the first that fuses at all, or the reference."""
    methods = [study.methods[name] for name in study.study.methods]
    fusing = [method for method in methods if method.fusion != "none"]
    of_searches = [method for method in fusing if method.policy in searched_policies(study)]
    return next(iter([*of_searches, *fusing]), study.methods[study.study.reference])


def write_receptive_fields(study: Study, folder: Path, pictures: dict[str, Tensor]) -> None:
    """Draw the receptive fields of each data set and backbone, with the squares that hold given shares as CSV.

    Args:
        pictures: for each data set of the grid, a few images (N, C, H, W) in [0, 1].
    """
    searches = results.searches(study)
    how = fused_method(study)
    for dataset in study.study.datasets:
        for backbone, settings in ((name, study.backbones[name]) for name in study.study.backbones):
            found = [s for s in searches if (s["dataset"], s["backbone"]) == (dataset, backbone)]
            policies = {f"{s['policy']}, seed {s['seed']}": Policy.load(s["path"]) for s in found[:1]}
            frames = next((policy.frames for policy in policies.values()), 4)
            fields = compare(
                settings.network,
                pictures[dataset],
                single_operations(frames) | policies,
                fusion=how.fusion,
                fusion_options=how.fusion_options,
                backbone_options=settings.options,
            )
            name = f"receptive_field_{dataset}_{backbone}"
            save_figure(figure(fields), folder / name)
            rows = [areas(effect).assign(frames=name) for name, (effect, _) in fields.items()]
            publish(folder / f"{name}.csv", pd.concat(rows).to_csv(index=False))
