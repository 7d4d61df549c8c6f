"""A policy compiled for one image size: paths of affine operations become one constant sparse map, applied once.

The definition of a policy's video: along each path from the image to the last node, every output pixel's coordinate is
pushed through the inverse maps of the operations, one after another in float64, with the padding rule at every step as
the step-by-step cell applies it (zeros: times the bilinear coverage of the position; border and reflection: moved
inside); at the end the image is read there, bilinearly, once. Paths combine with the weights of nodes and mixtures.
Photometric operations are not linear: what they read and what they give are tables of their own, and the affine runs
between them are compiled. The same holds for what a node of more than ``MOST_PATHS`` paths reads (uniform mixtures).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.sparse import coo_array
from torch import Tensor

from das.errors import DasError
from das.video.frames import Frames, check_images, sources
from das.video.geometry import MOST_PATHS, Chain, link, trace
from das.video.operations import operation_named
from das.video.policy import IMAGE, Choice, Policy
from das.video.warp import Pattern, centers, product, taps, to_table


@dataclass(frozen=True)
class Path:
    """A way from a table (0: the image) to a node, and its weight."""

    table: int
    chain: Chain
    weight: float


@dataclass(frozen=True)
class Warp:
    """A step that makes a table as a weighted sum of paths."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Recolor:
    """A step that makes a table by a photometric operation on another."""

    table: int
    choice: Choice


def program(policy: Policy) -> tuple[list[Warp | Recolor], int]:
    """The steps that make the video of ``policy``, and which table is the video.

    Table 0 is the image; step k makes table k + 1.
    """
    steps: list[Warp | Recolor] = []
    nodes: dict[int, tuple[Path, ...]] = {}

    def made(step: Warp | Recolor) -> int:
        if step not in steps:
            steps.append(step)
        return steps.index(step) + 1

    def table_of(source) -> int:
        """Make a node's paths a table that later steps read."""
        if source == IMAGE:
            return 0
        paths = nodes[source]
        if len(paths) > 1 or paths[0].chain or paths[0].weight != 1:
            nodes[source] = (Path(made(Warp(paths)), (), 1.0),)
        return nodes[source][0].table

    def expand(edges) -> tuple[Path, ...]:
        share = 1 / len(edges) if policy.node_reduce == "mean" else 1.0
        weights: dict[tuple[int, Chain], float] = {}
        paths: tuple[Path, ...]
        for edge in edges:
            if any(operation_named(choice.operation).recolor for choice in edge.mixture):
                table_of(edge.source)
            for choice in edge.mixture:
                if operation_named(choice.operation).recolor:
                    recolor = Recolor(table_of(edge.source), Choice(choice.operation, choice.magnitudes))
                    paths = (Path(made(recolor), (), 1.0),)
                else:
                    paths = (Path(0, (), 1.0),) if edge.source == IMAGE else nodes[edge.source]
                for path in paths:
                    key = (path.table, path.chain + link(choice))
                    weights[key] = weights.get(key, 0.0) + share * choice.weight * path.weight
        return tuple(Path(table, chain, weight) for (table, chain), weight in weights.items())

    last = len(policy.nodes) - 1
    for node in policy.reaching():
        nodes[node] = expand(policy.nodes[node])
        if len(nodes[node]) > MOST_PATHS:
            for edge in policy.nodes[node]:
                table_of(edge.source)
            nodes[node] = expand(policy.nodes[node])
    return steps, table_of(last)


class CompiledPolicy:
    """A policy for images of one size, on one device, in one precision (float32 or float64).

    Calling it maps images (B, C, H, W) to videos (B, T, C, H, W) (of the canvas's side where there is one), in the
    images' dtype; gradients flow to the images.

    Raises:
        DasError: when images of this size do not fit on the policy's canvas.
    """

    def __init__(
        self,
        policy: Policy,
        height: int,
        width: int,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ):
        self.policy, self.height, self.width = policy, height, width
        self._device, self._dtype = torch.device(device), dtype
        self._frames = Frames(policy, sources(policy))
        self._size = self._frames.window(height, width)[:2]
        self._steps, self._video = program(policy)
        compiled = self._steps if self._frames.moving else ()
        self._maps = [self._compile(step.paths) if isinstance(step, Warp) else None for step in compiled]

    def __call__(self, images: Tensor) -> Tensor:
        """Raises DasError for images that are not (B, C, H, W) floating point of this height and width."""
        check_images(images)
        if images.shape[2:] != (self.height, self.width):
            raise DasError(f"images: shape {tuple(images.shape)} is not (B, C, {self.height}, {self.width})")
        images, table = self._frames.begin(images)
        if not self._frames.moving:
            return self._frames.video(images, [])
        tables = [table]
        for step, compiled in zip(self._steps, self._maps, strict=True):
            if isinstance(step, Recolor):
                source = self._frames.images(tables[step.table], images.shape)
                tables.append(torch.cat([to_table(part) for part in self._recolor(step.choice, source)]))
            else:
                tables.append(self._product(compiled, *(tables[index] for index in _tables(step.paths))))
        return self._frames.video(images, self._frames.images(tables[self._video], images.shape))

    # What an export does in another way (das.export.plain).

    def _recolor(self, choice: Choice, parts: Sequence[Tensor]) -> Sequence[Tensor]:
        return self._frames.recolor(choice, choice.magnitudes[0], parts)

    def _product(self, compiled: Any, *tables: Tensor) -> Tensor:
        pattern, values = compiled
        return product(pattern, values.to(tables[0].dtype), *tables)

    def _compile(self, paths: tuple[Path, ...]) -> Any:
        """Merge the taps of paths into one sparse map, from the tables they read to all moving frames."""
        height, width = self._size
        pixels, moving = height * width, self._frames.moving
        offsets, columns = {}, 0
        for table in _tables(paths):
            offsets[table] = columns
            columns += pixels * (len(moving) if table else 1)
        entries = []
        output = torch.arange(pixels)[:, None].expand(-1, 4)
        for frame, strength in enumerate(moving):
            for path in paths:
                positions, kept = trace(path.chain, centers(height, width), strength, self.policy.padding, self._size)
                index, weight = taps(positions, height, width)
                source = offsets[path.table] + (frame * pixels if path.table else 0)
                entries.append((output + frame * pixels, index + source, path.weight * kept[:, None] * weight))
        rows, cols, values = (torch.cat(parts).flatten().numpy() for parts in zip(*entries, strict=True))
        merged = coo_array((values, (rows, cols)), shape=(pixels * len(moving), columns)).tocsr()
        merged.eliminate_zeros()
        starts, index, weights = (torch.from_numpy(part) for part in (merged.indptr, merged.indices, merged.data))
        pattern = Pattern(starts.to(self._device), index.to(self._device), columns)
        return pattern, weights.to(self._device, self._dtype)


def _tables(paths: tuple[Path, ...]) -> list[int]:
    """The tables that paths read, in order."""
    return sorted({path.table for path in paths})
