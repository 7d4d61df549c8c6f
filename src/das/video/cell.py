"""The relaxed cell: every edge a weighted mixture of its candidates (DARTS), as sparse maps of the pixels.

With magnitudes drawn or on a grid the candidates' warps are constants. The mixtures of all edges into a node are one
sparse linear map, whose entries are the candidates' bilinear weights times the mixture's: no candidate's video is ever
built, forwards or backwards. Learnable magnitudes make the bilinear weights functions of them, and new at each call
(`das.video.moving`).
Photometric candidates are not linear; they are applied one by one and computed again in the backward pass.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from das.errors import DasError
from das.seeding import generator
from das.video.family import KEPT_EDGES, Family
from das.video.frames import NO_NODE, Frames, remembered
from das.video.moving import moving_taps
from das.video.operations import operation_named
from das.video.policy import Choice, Policy
from das.video.warp import Pattern, centers, padded, product, pushed, taps, to_table


@dataclass(frozen=True)
class _Mixture:
    """The affine candidates of a node's edges as taps: the same columns in each row, a row being a frame's pixel."""

    pattern: Pattern  # which rows of the stacked source tables the taps read
    weight: Tensor  # (rows, taps): bilinear weights
    owner: Tensor  # (taps,): whose tap it is, as a position in the node's flattened (edges, candidates) weights


class Cell(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> videos (B, T, C, H, W), as a mixture of all candidates (see ``Family``).

    ``alpha`` (edges, candidates) is initialized with 1e-3 * randn from the seed (quark0/darts). With
    ``magnitudes="learnable"`` there is a second parameter ``magnitude`` (edges, candidates, magnitudes per operation),
    each magnitude as its place in the drawn range, kept within [0, 1]. The settings and their errors are ``Family``'s.
    """

    def __init__(self, space: str = "affine5", **settings):
        super().__init__()
        self.family = Family(space, **settings)
        shape = (len(self.family.edges), len(self.family.candidates[0]))
        draws = generator("cell", self.family.seed, "alpha")
        self.alpha = nn.Parameter(1e-3 * torch.randn(shape, generator=draws))
        if self.family.magnitudes == "learnable":
            low, width = self._ranges()
            self.magnitude = nn.Parameter(((self._drawn() - low) / width).float())
        nodes = [[self._source(edge) for edge in edges] for edges in self.family.incoming]
        self._frames = Frames(self.family, nodes)
        self._mixtures: dict = {}

    def _source(self, edge: int) -> int:
        source = self.edges[edge][0] - self.family.inputs
        return source if source >= 0 else NO_NODE

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of each row of alpha; sources 0 and 1 (dag) or 0 (single) are the image."""
        return self.family.edges

    @property
    def candidates(self) -> tuple[tuple[Choice, ...], ...]:
        """The candidates of each edge, in the order of alpha's columns, at their present magnitudes."""
        if self.family.magnitudes != "learnable":
            return self.family.candidates
        present = self._magnitudes().tolist()
        return tuple(
            tuple(
                replace(choice, magnitudes=tuple(round(value, 4) for value in values[: len(choice.magnitudes)]))
                for choice, values in zip(edge, edge_values, strict=True)
            )
            for edge, edge_values in zip(self.family.candidates, present, strict=True)
        )

    def _ranges(self) -> tuple[Tensor, Tensor]:
        """Low end and width of the learnable magnitudes' ranges, each (candidates, magnitudes per operation)."""
        ranges = [operation_named(choice.operation).ranges for choice in self.family.candidates[0]]
        low, high = _filled([[values.drawn for values in row] for row in ranges], (0.0, 1.0)).unbind(-1)
        return low, high - low

    def _drawn(self) -> Tensor:
        """The family's magnitudes, (edges, candidates, magnitudes per operation), float64."""
        return torch.stack([_filled([choice.magnitudes for choice in edge], 0.0) for edge in self.family.candidates])

    def _magnitudes(self) -> Tensor:
        """The present magnitudes in their units, (edges, candidates, magnitudes per operation), float64."""
        if self.family.magnitudes != "learnable":
            return self._drawn()
        with torch.no_grad():
            self.magnitude.clamp_(0, 1)
        low, width = (part.to(self.magnitude.device) for part in self._ranges())
        return low + width * self.magnitude

    def space_size(self) -> int:
        """The number of policies the cell can become."""
        return self.family.size()

    def weights(self) -> Tensor:
        """softmax(alpha) over the candidates of each edge, (edges, candidates)."""
        return self.alpha.softmax(-1)

    def forward(self, images: Tensor, weights: Tensor | None = None) -> Tensor:
        """Make the videos (B, T, C, H, W).

        ``weights`` (edges, candidates) replaces ``softmax(alpha)``; each edge's must sum to 1, as frame T//2 is the
        untouched image whatever they are. Where they need no gradient, candidates of weight 0 are not computed.

        Raises:
            DasError: for images that are not (B, C, H, W) floating point or do not fit the canvas, or weights of
                another shape.
        """
        weights = self.weights() if weights is None else weights
        if weights.shape != self.alpha.shape:
            raise DasError(f"weights: shape {tuple(weights.shape)} is not {tuple(self.alpha.shape)}")
        images, table = self._frames.begin(images)
        if not self._frames.moving:
            return self._frames.video(images, [])
        mixtures, magnitudes = self._prepared(images.shape[2:], table)
        tables = [table]
        for mixture, edges in zip(mixtures, self.family.incoming, strict=True):
            share = weights[list(edges)].to(table.dtype)
            if self.family.node_reduce == "mean":
                share = share / len(edges)
            state = _mixed(mixture, share.flatten(), tables)
            recolored = self._recolored(edges, share, magnitudes, tables, images.shape)
            tables.append(state if recolored is None else state + recolored)
        return self._frames.video(images, self._frames.images(tables[-1], images.shape))

    def _prepared(self, size: Sequence[int], table: Tensor) -> tuple[list[_Mixture], Tensor]:
        """Every node's mixture, and the present magnitudes; learnable ones make the part that they move anew."""
        key, nodes = (*size, table.device, table.dtype), range(len(self.family.incoming))

        @torch.no_grad()
        def constant() -> tuple[list[_Mixture], Tensor]:
            magnitudes = self._magnitudes().to(table.device)
            return [self._constant(node, magnitudes, size, table) for node in nodes], magnitudes

        mixtures, magnitudes = remembered(self._mixtures, key, constant)
        if self.family.magnitudes != "learnable":
            return mixtures, magnitudes
        magnitudes = self._magnitudes().to(table.device)
        return [self._moving(node, magnitudes, size, mixtures[node]) for node in nodes], magnitudes

    def _affine(self, node: int) -> Iterator[tuple[int, Tensor, int, int]]:
        """The affine candidates of a node: owner, where their frames begin in the stacked tables in images, edge and
        column."""
        moving = len(self._frames.moving)
        for position, edge in enumerate(self.family.incoming[node]):
            source = self._source(edge)
            start = torch.zeros(moving, dtype=torch.int64)
            if source != NO_NODE:
                start = 1 + source * moving + torch.arange(moving)
            for column, choice in enumerate(self.family.candidates[edge]):
                if operation_named(choice.operation).inverse is not None:
                    yield position * len(self.family.candidates[edge]) + column, start, edge, column

    def _inverse(self, edge: int, column: int, magnitudes: Tensor, size: Sequence[int]) -> Tensor:
        """The inverse maps (strengths, 3, 3) of an affine candidate, float64."""
        choice = self.family.candidates[edge][column]
        strengths = torch.tensor(self._frames.moving, dtype=torch.float64, device=magnitudes.device)
        given = magnitudes[edge, column, : len(choice.magnitudes)]
        return operation_named(choice.operation).inverse(given, strengths, *size)

    def _learned(self, edge: int, column: int) -> bool:
        return self.family.magnitudes == "learnable" and bool(self.family.candidates[edge][column].magnitudes)

    def _constant(self, node: int, magnitudes: Tensor, size: Sequence[int], table: Tensor) -> _Mixture:
        """The taps of a node's affine candidates that are not learned. Those of weight 0 are left out."""
        pixels, moving, device = size[0] * size[1], len(self._frames.moving), table.device
        nothing = torch.zeros(moving * pixels, 0, dtype=torch.int64, device=device)
        indices, weights, owners = [nothing], [nothing.double()], []
        places = centers(size[0], size[1], device)[None]
        for owner, start, edge, column in self._affine(node):
            if self._learned(edge, column):
                continue
            positions = pushed(places, self._inverse(edge, column, magnitudes, size))
            index, weight = taps(padded(positions, self.family.padding, *size), *size)
            index = index + (pixels * start.to(device))[:, None, None]
            index, weight = index.flatten(0, 1), weight.flatten(0, 1)
            used = (weight != 0).any(0)
            indices.append(index[:, used])
            weights.append(weight[:, used])
            owners += [owner] * indices[-1].shape[1]
        pattern = Pattern.regular(torch.cat(indices, 1), pixels * (1 + node * moving))
        owner_of_taps = torch.tensor(owners, dtype=torch.int64, device=device)
        return _Mixture(pattern, torch.cat(weights, 1).to(table.dtype), owner_of_taps)

    def _moving(self, node: int, magnitudes: Tensor, size: Sequence[int], constant: _Mixture) -> _Mixture:
        """The ``constant`` taps of a node with those of its learned candidates."""
        found = [one for one in self._affine(node) if self._learned(*one[2:])]
        if not found:
            return constant
        dtype, device, pixels = constant.weight.dtype, constant.weight.device, size[0] * size[1]
        matrices = torch.stack([self._inverse(edge, column, magnitudes, size) for _, _, edge, column in found], 1)
        offsets = torch.stack([pixels * start for _, start, _, _ in found], 1).to(device)
        index, weight = moving_taps(
            matrices.to(dtype),
            offsets,
            self.family.padding,
            (size[0], size[1]),
            constant.pattern.index.view(len(constant.weight), -1),
            constant.weight,
        )
        owner = torch.tensor([owner for owner, _, _, _ in found] * 4, dtype=torch.int64, device=device)
        pattern = Pattern.regular(index, constant.pattern.columns)
        return _Mixture(pattern, weight, torch.cat([owner, constant.owner]))

    def _recolored(self, edges, share: Tensor, magnitudes: Tensor, tables: list[Tensor], shape) -> Tensor | None:
        """The photometric candidates' part of a node, as a table; None where there is none."""
        total = None
        columns = [c for c, choice in enumerate(self.family.candidates[0]) if operation_named(choice.operation).recolor]
        for position, edge in enumerate(edges):
            present = columns if share.requires_grad else [c for c in columns if share[position, c] != 0]
            if present:
                given = (edge, present, share[position], magnitudes[edge], tables[self._source(edge) + 1], shape)
                part = checkpoint(self._recolor_edge, *given, use_reentrant=False, preserve_rng_state=False)
                total = part if total is None else total + part
        return total

    def _recolor_edge(self, edge: int, columns, share: Tensor, magnitudes: Tensor, source: Tensor, shape) -> Tensor:
        images = self._frames.images(source, shape)
        total: Any = 0
        for column in columns:
            choice = self.family.candidates[edge][column]
            # One number per plane or image: its gradient is summed in an order that no number of threads changes.
            weight = share[column].expand(*shape[:2], 1, 1)
            magnitude = choice.magnitudes[0]
            if self.family.magnitudes == "learnable":
                magnitude = magnitudes[column, 0].to(source.dtype).expand(shape[0], 1, 1, 1)
            recolored = self._frames.recolor(choice, magnitude, images)
            total = total + torch.stack([weight * part for part in recolored])
        return torch.cat([to_table(part) for part in total])

    def mixture(self, weights: Tensor | None = None) -> Policy:
        """What the cell makes with ``weights`` (edges, candidates; None: ``softmax(alpha)``), as a policy of mixtures.

        Edges of weight 0 are left out.
        """
        rows = (self.weights() if weights is None else weights).detach().double().cpu()
        totals = rows.sum(-1, keepdim=True)
        shares, candidates = (rows / totals.clamp_min(1e-12)).tolist(), self.candidates

        def mixed(edge: int) -> tuple[Choice, ...]:
            pairs = zip(candidates[edge], shares[edge], strict=True)
            return tuple(replace(choice, weight=share) for choice, share in pairs if share > 0)

        return self.family.mixed([[(e, mixed(e)) for e in edges if totals[e] > 0] for edges in self.family.incoming])

    def policy(self, weights: Tensor | None = None, provenance: Mapping | None = None) -> Policy:
        """The policy of the strongest candidates: each node keeps the two edges whose best candidate weighs most.

        ``weights`` (edges, candidates) replaces ``softmax(alpha)``. Ties go to the lower index.
        """
        best = (self.weights() if weights is None else weights).detach().cpu().max(-1)
        kept = []
        for edges in self.family.incoming:
            kept += sorted(edges, key=lambda edge: -best.values[edge].item())[:KEPT_EDGES]
        return self.policy_from({edge: int(best.indices[edge]) for edge in kept}, provenance)

    def policy_from(self, choice: Mapping[int, int], provenance: Mapping | None = None) -> Policy:
        """The policy that keeps exactly the edges of ``choice``, each with its candidate (row and column of alpha).

        Raises:
            DasError: for an edge or candidate that does not exist, or a node left without edges.
        """
        return self.family.policy(dict(sorted(choice.items())), self.candidates, provenance)


class Relaxed:
    """The cell with given weights: a step from images to videos that says, as its ``policy``, what it is."""

    def __init__(self, cell: Cell, weights: Tensor | None = None):
        self.cell, self.weights = cell, weights

    def __call__(self, images: Tensor) -> Tensor:
        return self.cell(images, self.weights)

    @property
    def policy(self) -> Policy:
        return self.cell.mixture(self.weights)


def _filled(rows: Sequence[Sequence], filler) -> Tensor:
    """Rows of unequal length as one float64 tensor, the short ones filled up; at least one column."""
    longest = max(1, *map(len, rows))
    return torch.tensor([[*row, *[filler] * (longest - len(row))] for row in rows], dtype=torch.float64)


def _mixed(mixture: _Mixture, share: Tensor, tables: list[Tensor]) -> Tensor:
    """Apply a node's mixture with the candidates' ``share``; where that is constant, without the absent ones."""
    pattern, weight, owner = mixture.pattern, mixture.weight, mixture.owner
    if not share.requires_grad:
        active = (share != 0)[owner]
        if not active.all():
            index = pattern.index.view(len(weight), -1)[:, active]
            pattern, weight, owner = Pattern.regular(index, pattern.columns), weight[:, active], owner[active]
    return product(pattern, (weight * share.index_select(0, owner)).flatten(), *tables)
