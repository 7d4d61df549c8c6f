"""The image-to-video step beside its peers' formulations: same cell or policy, same images, one run.

- relaxed cell, forward and backward to alpha: T = 8, 14 edges of 5 operations;
- compiled policy, forward: operation by operation, and as a part of a ResNet-18 training step;
- peak memory of the relaxed cell; growth of its time and memory with T, side, batch and operations (a plot).

Peers: torchvision's ``affine`` and kornia's ``warp_affine``, one call per operation, edge and frame; and the
differentiable operations of Faster AutoAugment (moskomule/dda) as defined there: magnitudes are tensors with one entry
per sample and take part in the gradient, each warp is an affine_grid and a grid_sample. All leave frame T//2 alone.

Run ``OMP_NUM_THREADS=1 uv run --group benchmark python -m benchmarks.video``; with ``--quick``, smaller batches.
"""

import argparse
from functools import partial
from math import cos, radians, sin

import torch
from torch.nn import functional as F

from benchmarks._measure import RESULTS, fastest, peak_memory, write
from das.video.cell import Cell
from das.video.compiled import CompiledPolicy
from das.video.family import Family
from das.video.policy import IMAGE
from das.video.schedule import strengths

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FRAMES = 8


def torchvision_warp(images, choice, strength):
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as tv

    height, width = images.shape[-2:]
    settings = {"angle": 0.0, "translate": [0.0, 0.0], "scale": 1.0, "shear": [0.0, 0.0]}
    (magnitude,) = choice.magnitudes or (0,)
    match choice.operation:
        case "identity":
            return images
        case "translate_x":
            settings["translate"] = [magnitude * strength * width, 0.0]
        case "translate_y":
            settings["translate"] = [0.0, magnitude * strength * height]
        case "zoom":
            settings["scale"] = magnitude**strength
        case "rotate":
            settings["angle"] = -magnitude * strength
    return tv.affine(images, **settings, interpolation=InterpolationMode.BILINEAR)


def kornia_warp(images, choice, strength):
    from kornia.geometry.transform import warp_affine

    if choice.operation == "identity":
        return images
    height, width = images.shape[-2:]
    (magnitude,) = choice.magnitudes
    scale = magnitude**strength if choice.operation == "zoom" else 1.0
    angle = radians(magnitude * strength) if choice.operation == "rotate" else 0.0
    x = magnitude * strength * width if choice.operation == "translate_x" else 0.0
    y = magnitude * strength * height if choice.operation == "translate_y" else 0.0
    a, b = scale * cos(angle), scale * sin(angle)
    cx, cy = (width - 1) / 2, (height - 1) / 2
    matrix = images.new_tensor([[a, b, x + cx - a * cx - b * cy], [-b, a, y + cy + b * cx - a * cy]])
    return warp_affine(images, matrix.expand(len(images), -1, -1), (height, width), align_corners=False)


def faster_autoaugment_warp(images, choice, strength):
    if choice.operation == "identity":
        return images
    (value,) = choice.magnitudes
    magnitude = torch.full((len(images),), float(value), device=images.device, requires_grad=True)
    zero, one = torch.zeros_like(magnitude), torch.ones_like(magnitude)
    match choice.operation:
        case "translate_x":
            rows = [one, zero, -2 * magnitude * strength, zero, one, zero]
        case "translate_y":
            rows = [one, zero, zero, zero, one, -2 * magnitude * strength]
        case "zoom":
            scale = magnitude**-strength
            rows = [scale, zero, zero, zero, scale, zero]
        case "rotate":
            angle = torch.deg2rad(magnitude * strength)
            rows = [torch.cos(angle), -torch.sin(angle), zero, torch.sin(angle), torch.cos(angle), zero]
    grid = F.affine_grid(torch.stack(rows, -1).view(-1, 2, 3), images.shape, align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


PEERS = {
    "torchvision, one call per operation": torchvision_warp,
    "kornia, one call per operation": kornia_warp,
    "Faster AutoAugment's operations": faster_autoaugment_warp,
}


def loop_cell(cell, images, warp):
    """The relaxed cell, candidate by candidate."""
    weights, frames = cell.weights(), []
    for strength in strengths(cell.family.schedule, cell.family.frames):
        states = [images] * cell.family.inputs
        for edges in cell.family.incoming if strength else ():
            parts = (
                weight * warp(states[cell.edges[edge][0]], choice, strength)
                for edge in edges
                for choice, weight in zip(cell.candidates[edge], weights[edge], strict=True)
            )
            states.append(sum(parts) / len(edges))
        frames.append(states[-1])
    return torch.stack(frames, 1)


def loop_policy(policy, images, warp):
    """A policy, operation by operation."""
    frames = []
    for strength in strengths(policy.schedule, policy.frames):
        states = {IMAGE: images}
        for node, edges in enumerate(policy.nodes if strength else ()):
            parts = [warp(states[edge.source], edge.mixture[0], strength) for edge in edges]
            states[node] = sum(parts) / len(parts)
        frames.append(states[len(policy.nodes) - 1] if strength else images)
    return torch.stack(frames, 1)


def images_of(batch, side):
    return torch.rand(batch, 3, side, side, generator=torch.Generator().manual_seed(0)).to(DEVICE)


def cell_run(batch, side, peer=None, **settings):
    """A call that runs the cell forward and backward to alpha; constants are prepared on one image."""
    cell = Cell(**{"frames": FRAMES, **settings}).to(DEVICE)
    images = images_of(batch, side)
    make = partial(loop_cell, cell, warp=PEERS[peer]) if peer else cell
    with torch.no_grad():
        frames = cell(images[:1]).shape[1:]
    direction = torch.randn(batch, *frames, generator=torch.Generator().manual_seed(1)).to(DEVICE)

    def run():
        cell.zero_grad()
        make(images).backward(direction)
        return cell.alpha.grad

    return run


def rows_of(what, seconds, ours, extra=None):
    return [
        {"what": what, "formulation": name, "ms": 1e3 * value, "times ours": value / seconds[ours], **(extra or {})}
        for name, value in seconds.items()
    ]


def relaxed_cell(batch, side, repetitions):
    ours = "ours"
    runs = {ours: cell_run(batch, side)}
    runs |= {name: cell_run(batch, side, name) for name in PEERS}
    expected = runs[ours]()
    for name, run in runs.items():
        error = ((run() - expected).abs().max() / expected.abs().max()).item()
        if error > 1e-2:
            raise RuntimeError(f"{name}: its gradient of alpha differs from ours by {error:.1e}")
    seconds = fastest(runs, repetitions)
    cell, images = Cell(frames=FRAMES).to(DEVICE), images_of(batch, side)
    with torch.no_grad():
        seconds |= fastest({"ours, forward only (weight step)": lambda: cell(images)}, repetitions)
    return rows_of(f"relaxed cell, {batch} x {side}²", seconds, ours)


def compiled_policy(batch, side, repetitions):
    policy = Family(frames=FRAMES, seed=1).random(1)
    compiled, images = CompiledPolicy(policy, side, side, DEVICE), images_of(batch, side)
    step_by_step = partial(loop_policy, policy, images)
    with torch.no_grad():
        runs = {"ours": lambda: compiled(images)} | {name: partial(step_by_step, PEERS[name]) for name in PEERS}
        seconds = fastest(runs, repetitions)
    return rows_of(f"compiled policy, {batch} x {side}²", seconds, "ours")


def training_step(batch, side, repetitions):
    """The compiled policy beside one training step of a CIFAR-form ResNet-18 on the same videos."""
    from torch import nn
    from torchvision.models import resnet18

    network = resnet18(num_classes=10)
    network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    network = network.to(DEVICE, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.05, momentum=0.9)
    compiled = CompiledPolicy(Family(frames=FRAMES, seed=1).random(1), side, side, DEVICE)
    images, labels = images_of(batch, side), torch.arange(batch, device=DEVICE) % 10
    video = compiled(images).flatten(0, 1).contiguous(memory_format=torch.channels_last)

    def step():
        optimizer.zero_grad()
        logits = network(video).view(batch, FRAMES, -1).mean(1)
        F.cross_entropy(logits, labels).backward()
        optimizer.step()

    seconds = fastest({"ours": lambda: compiled(images), "ResNet-18 training step": step}, repetitions)
    part = seconds["ours"] / seconds["ResNet-18 training step"]
    return rows_of(f"compiled policy in training, {batch} x {side}²: {100 * part:.2g} % of the step", seconds, "ours")


def memory(batch, side):
    names = {"ours": None, **{name: name for name in PEERS}}
    peaks = {name: peak_memory(cell_run, batch, side, peer) for name, peer in names.items()}
    return [
        {
            "what": f"relaxed cell, {batch} x {side}²",
            "formulation": name,
            "MiB": peak,
            "times ours": peak / peaks["ours"],
        }
        for name, peak in peaks.items()
    ]


GROWTH = {
    "frames T": [(f, dict(frames=f)) for f in (2, 4, 8, 16)],
    "side": [(s, dict(side=s)) for s in (16, 32, 64, 96)],
    "batch": [(b, dict(batch=b)) for b in (16, 32, 64, 128)],
    "candidates per edge": [
        (5, dict()),
        (7, dict(space="affine7")),
        (17, dict(magnitudes="grid")),
        (25, dict(space="affine7", magnitudes="grid")),
    ],
}


def growth(repetitions):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.5), layout="constrained")
    axes = figure.subplots(2, len(GROWTH))
    rows = []
    for column, (against, points) in enumerate(GROWTH.items()):
        for value, settings in points:
            settings = {"batch": 32, "side": 32, **settings}
            measured = partial(cell_run, **settings)
            seconds = fastest({"cell": measured()}, repetitions)["cell"]
            rows.append({"against": against, "value": value, "ms": 1e3 * seconds, "MiB": peak_memory(measured)})
        for row, unit in enumerate(("ms", "MiB")):
            mine = [point for point in rows if point["against"] == against]
            axes[row][column].plot([point["value"] for point in mine], [point[unit] for point in mine], "o-")
            axes[row][column].set(xlabel=against, ylabel=unit, ylim=0)
    figure.suptitle("Relaxed cell, forward and backward to alpha (otherwise T = 8, batch 32, 32², 5 candidates)")
    figure.savefig(RESULTS / "video_growth.png", dpi=150)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the batch, fewer repetitions")
    quick = parser.parse_args().quick
    small, repetitions = (4, 1) if quick else (1, 3)
    rows = []
    for batch, side in ((128 // small, 32), (32 // small, 64)):
        rows += relaxed_cell(batch, side, repetitions)
        rows += compiled_policy(batch, side, repetitions)
    for batch, side in ((16 // small, 32), (8 // small, 64)):
        rows += training_step(batch, side, repetitions)
    write("video", "The image-to-video step: fastest of interleaved runs", rows)
    write("video_memory", "Peak memory of the relaxed cell, forward and backward to alpha", memory(64 // small, 32))
    write("video_growth", "Growth of the relaxed cell, forward and backward to alpha", growth(repetitions))


if __name__ == "__main__":
    main()
