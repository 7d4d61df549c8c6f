"""Predictions for frames that were moved, zoomed or turned, brought back into register with the image and averaged.

A frame's position reads the image at one place for each of the policy's paths. The mean of these places, weighted as
the paths are, is again an affine function of the position: the frame's *mean map*. It is the frame's map where all
paths agree. Where different maps are superposed it says where a position looks on average, and that is what is undone:
at a pixel of the image, a frame's prediction is read at the position whose mean place is that pixel. A frame counts
there if that position lies in it and at least half of what it shows lies in the image. Frames of a scrambled layout
have no geometry and are taken as they come.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from das.errors import DasError
from das.study import registry
from das.video.compiled import CompiledPolicy
from das.video.frames import Frames, remembered, sources
from das.video.geometry import link
from das.video.operations import operation_named
from das.video.policy import IMAGE, Choice, Edge, Policy
from das.video.warp import Pattern, centers, coverage, padded, product, pushed, taps

SAME = 1e-6  # coverage that differs by less from full, or from half, does not differ
SMALLEST = 1e-3  # a mean map that makes areas smaller than this cannot be undone


def mean_maps(policy: Policy, height: int, width: int) -> Tensor:
    """The mean map of every frame, (T, 3, 3) float64: from a position in the frame to the place in the image it shows.

    Both are in pixels about the center, x then y; ``height`` and ``width`` are those of the frames.
    """
    strengths = torch.tensor(Frames(policy, sources(policy)).strengths, dtype=torch.float64)
    still = torch.eye(3, dtype=torch.float64).expand(len(strengths), 3, 3)
    if policy.frame_layout == "scrambled":
        return still

    def move(choice: Choice) -> Tensor:
        if not link(choice):
            return still
        magnitudes = torch.tensor(choice.magnitudes, dtype=torch.float64)
        return operation_named(choice.operation).inverse(magnitudes, strengths, height, width)

    maps: dict = {IMAGE: still}
    for index, edges in enumerate(policy.nodes):
        moved = [maps[edge.source] @ sum(choice.weight * move(choice) for choice in edge.mixture) for edge in edges]
        maps[index] = sum(moved) / len(edges)
    return maps[len(policy.nodes) - 1]


def visible(policy: Policy, height: int, width: int) -> Tensor:
    """The share of what each position of each frame shows that lies in the image, for height x width images.

    (T, H, W) float64 in [0, 1], H and W being the frames'.
    """

    def geometric(choice: Choice) -> Choice:
        return choice if link(choice) else Choice("identity", weight=choice.weight)

    nodes = tuple(
        tuple(Edge(edge.source, tuple(map(geometric, edge.mixture))) for edge in edges) for edges in policy.nodes
    )
    bare = replace(policy, nodes=nodes, padding="zeros", node_reduce="mean")
    image = torch.ones(1, 1, height, width, dtype=torch.float64)
    return CompiledPolicy(bare, height, width, dtype=torch.float64)(image)[0, :, 0]


class DenseConsensus:
    """Frames' predictions of a label per pixel -> the image's.

    ``name``: ``aligned_mean`` undoes each frame's mean map and averages the frames that show the pixel; ``mean_logits``
    averages frames as they come (casarinsof/TRAS); ``middle_frame`` takes the untouched one alone. ``passing`` is for
    policies that serve one call (a search's): what fell out of a frame on the way between operations counts there too,
    which saves the compilation that tells it.
    """

    def __init__(self, name: str, policy: Policy, passing: bool = False):
        self.name, self.policy, self.passing = name, policy, passing
        self._positions = registry.lookup("dense_consensus", name).load()
        self._maps: dict = {}

    def __call__(self, logits: Tensor, height: int, width: int) -> Tensor:
        """Logits (B, T, K, h, w) at any resolution -> (B, K, height, width), float32 or wider, differentiable.

        ``height`` and ``width`` are the image's. Reading a frame where it shows a pixel, interpolating (bilinear, edge
        values beyond the outermost centers) and averaging are one constant sparse map, so that nothing is interpolated
        twice, no frame is blown up, and the gradient is the same bit for bit on every run.
        """
        batch, frames, channels, *low = logits.shape
        key = (*low, height, width, logits.device)
        pattern, values = remembered(self._maps, key, lambda: self.map(low, (height, width), logits.device))
        table = logits.to(torch.promote_types(logits.dtype, torch.float32)).permute(1, 3, 4, 0, 2)
        table = table.reshape(-1, batch * channels)
        if len(table) != pattern.columns:
            raise DasError(f"logits: {frames} frames; the policy makes {self.policy.frames}")
        fused = product(pattern, values.to(table.dtype), table)
        return fused.view(height, width, batch, channels).permute(2, 3, 0, 1)

    def map(self, low: Sequence[int], image: tuple[int, int], device: torch.device) -> tuple[Pattern, Tensor]:
        """The sparse map from all frames' logits of ``low`` (h, w) to the pixels of an ``image`` (H, W)."""
        frames = Frames(self.policy, sources(self.policy))
        height, width, top, left = frames.window(*image)
        size = [height, width]
        pixels = centers(height, width).view(*size, 2)[top : top + image[0], left : left + image[1]].reshape(1, -1, 2)
        positions, counts = self._positions(self.policy, pixels, size, image, self.passing)
        scale = torch.tensor([low[1] / size[1], low[0] / size[0]], dtype=torch.float64)
        index, weight = taps(padded(positions * scale, "border", *low), *low)  # (T, pixels, 4)
        weight = weight * (counts / counts.sum(0))[..., None]
        index = index + torch.arange(len(index))[:, None, None] * low[0] * low[1]
        kept = weight.flatten(2) != 0
        rows = torch.arange(pixels.shape[1])[None, :, None].expand_as(index)[kept]
        order = rows.argsort(stable=True)
        starts = torch.searchsorted(rows[order], torch.arange(pixels.shape[1] + 1))
        pattern = Pattern(starts.to(device), index[kept][order].to(device), len(frames.strengths) * low[0] * low[1])
        return pattern, weight[kept][order].to(device)


# -- the ways that studies name ------------------------------------------------------------------------------------
# Each takes a policy, pixels of the image (1, P, 2) about the frames' center, the frames' size, the image's, and
# whether what fell out of a frame on the way counts (`DenseConsensus`), and gives where each frame shows each pixel,
# (T, P, 2), and whether it counts there, (T, P) of 0 and 1.

Positions = tuple[Tensor, Tensor]


def middle_frame(policy: Policy, pixels: Tensor, size: list[int], image: tuple[int, int], passing: bool) -> Positions:
    """The untouched frame alone."""
    alone = (torch.arange(policy.frames) == policy.frames // 2).double()[:, None]
    return pixels.expand(policy.frames, -1, -1), alone.expand(-1, pixels.shape[1])


def mean_logits(policy: Policy, pixels: Tensor, size: list[int], image: tuple[int, int], passing: bool) -> Positions:
    """Frames as they come (casarinsof/TRAS)."""
    return pixels.expand(policy.frames, -1, -1), torch.ones(policy.frames, pixels.shape[1], dtype=torch.float64)


def aligned_mean(policy: Policy, pixels: Tensor, size: list[int], image: tuple[int, int], passing: bool) -> Positions:
    """Each frame's mean map undone; the frames that show the pixel count."""
    if policy.frame_layout == "scrambled":
        return mean_logits(policy, pixels, size, image, passing)
    maps = mean_maps(policy, *size)
    undone = maps[:, :2, :2].det().abs() > SMALLEST
    maps = torch.where(undone[:, None, None], maps, torch.eye(3, dtype=torch.float64))
    positions = pushed(pixels, torch.linalg.inv(maps))
    counts = undone[:, None] & (coverage(positions, *size) > 1 - SAME)
    if not passing:
        index, weight = taps(positions, *size)
        shown = visible(policy, *image).flatten(1)
        counts &= (shown.gather(1, index.flatten(1)).view_as(weight) * weight).sum(-1) > 0.5 - SAME
    counts[policy.frames // 2] = True
    return positions, counts.double()
