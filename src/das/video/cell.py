"""The relaxed cell: every edge a weighted mixture of its candidates (DARTS), as sparse maps of the pixels.

With magnitudes drawn or on a grid the candidates' warps are constants. The mixtures of all edges into a node are one
sparse linear map, whose entries are the candidates' bilinear weights times the mixture's: no candidate's video is ever
built, forwards or backwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from das.errors import DasError
from das.seeding import generator
from das.video.family import KEPT_EDGES, Family
from das.video.frames import Frames
from das.video.operations import OPERATIONS
from das.video.policy import Choice, Policy
from das.video.warp import Pattern, centres, padded, product, pushed, taps

REMEMBERED = 8  # image sizes


@dataclass(frozen=True)
class _Mixture:
    """The affine candidates of a node's edges as taps: for each row (a pixel of a frame), column by column."""

    index: Tensor  # (rows, taps) int64: rows of the stacked source tables
    weight: Tensor  # (rows, taps): bilinear weights
    owner: Tensor  # (taps,): position of the tap's candidate in the flattened (edges, candidates) weights
    pattern: Pattern


class Cell(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> videos (B, T, C, H, W), as a mixture of all candidates (see ``Family``).

    ``alpha`` (edges, candidates) is initialised with 1e-3 * randn from the seed (quark0/darts); with
    ``magnitudes="learnable"`` there is a second parameter ``magnitude``, the candidates' magnitudes as fractions of
    their drawn range, kept within [0, 1]. Pass ``Family``'s settings by name; errors are its errors.
    """

    def __init__(self, space: str = "affine5", **settings):
        super().__init__()
        self.family = Family(space, **settings)
        shape = (len(self.family.edges), len(self.family.candidates[0]))
        draws = generator("cell", self.family.seed, "alpha")
        self.alpha = nn.Parameter(1e-3 * torch.randn(shape, generator=draws))
        if self.family.magnitudes == "learnable":
            self.magnitude = nn.Parameter(torch.tensor(self._fractions()))
        # A node of a mean cell keeps the image's amplitude; sums double it with every node (2, 4, 8, 16).
        gains = []
        for edges in self.family.incoming:
            incoming = [self._gain(gains, self.edges[edge][0]) for edge in edges]
            gains.append(sum(incoming) / (len(incoming) if self.family.node_reduce == "mean" else 1))
        self._frames = Frames(self.family, gains[-1])
        self._mixtures = {}

    def _gain(self, gains, source):
        return 1.0 if source < self.family.inputs else gains[source - self.family.inputs]

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of each row of alpha; sources 0 and 1 (dag) or 0 (single) are the image."""
        return self.family.edges

    @property
    def candidates(self) -> tuple[tuple[Choice, ...], ...]:
        """The candidates of each edge, in the order of alpha's columns, with their present magnitudes."""
        if self.family.magnitudes != "learnable":
            return self.family.candidates
        values = self._magnitudes().detach().tolist()
        return tuple(
            tuple(
                replace(choice, magnitudes=tuple(round(value, 4) for value in row[: len(choice.magnitudes)]))
                for choice, row in zip(edge, rows, strict=True)
            )
            for edge, rows in zip(self.family.candidates, values, strict=True)
        )

    def space_size(self) -> int:
        """The number of policies the cell can become."""
        return self.family.size()

    def weights(self) -> Tensor:
        """softmax(alpha) over the candidates of each edge, (edges, candidates)."""
        return self.alpha.softmax(-1)

    def forward(self, images: Tensor, weights: Tensor | None = None) -> Tensor:
        """Make the videos (B, T, C, H, W).

        ``weights`` (edges, candidates) replaces ``softmax(alpha)``. Candidates of weight 0 are not computed; where
        ``weights`` needs gradients they still receive theirs.

        Raises:
            DasError: for images that are not (B, C, H, W) floating point or do not fit the canvas, or weights of
                another shape.
        """
        weights = self.weights() if weights is None else weights
        if weights.shape != self.alpha.shape:
            raise DasError(f"weights: shape {tuple(weights.shape)} is not {tuple(self.alpha.shape)}")
        images, table = self._frames.begin(images)
        moving = len(self._frames.moving)
        if not moving:
            return self._frames.video(images, [])
        height, width = images.shape[-2:]
        tables = [table]
        for mixture, edges in zip(self._node_mixtures(height, width, table), self.family.incoming, strict=True):
            share = weights[list(edges)].to(table.dtype)
            if self.family.node_reduce == "mean":
                share = share / len(edges)
            tables.append(self._linear(mixture, share.flatten(), tables))
        return self._frames.video(images, tables[-1].unflatten(0, (moving, -1)))

    def _linear(self, mixture: _Mixture, share: Tensor, tables: list[Tensor]) -> Tensor:
        """Apply a node's mixture; with ``share`` constant, only the candidates that take part."""
        pattern, index, weight, owner = mixture.pattern, mixture.index, mixture.weight, mixture.owner
        if not share.requires_grad:
            active = (share != 0)[owner].nonzero().flatten()
            if len(active) < len(owner):
                owner, weight = owner[active], weight[:, active]
                pattern = Pattern.regular(index[:, active], pattern.columns)
        return product(pattern, (weight * share[owner]).flatten(), *tables)

    def _node_mixtures(self, height: int, width: int, table: Tensor) -> list[_Mixture]:
        key = (height, width, table.device, table.dtype)
        if key not in self._mixtures:
            while len(self._mixtures) >= REMEMBERED:
                del self._mixtures[next(iter(self._mixtures))]
            self._mixtures[key] = [
                self._mixture(node, height, width, table) for node in range(len(self.family.incoming))
            ]
        return self._mixtures[key]

    def _mixture(self, node: int, height: int, width: int, table: Tensor) -> _Mixture:
        """The taps of a node's affine candidates; a tap whose weight is 0 everywhere is left out."""
        pixels, moving = height * width, len(self._frames.moving)
        strengths = torch.tensor(self._frames.moving, dtype=torch.float64)
        frame = torch.arange(moving)[:, None, None] * pixels
        indices, weights, owners = [], [], []
        candidates = [(edge, choice) for edge in self.family.incoming[node] for choice in self.family.candidates[edge]]
        for owner, (edge, choice) in enumerate(candidates):
            operation = OPERATIONS[choice.operation]
            if operation.inverse is None:
                continue
            magnitudes = torch.tensor(choice.magnitudes, dtype=torch.float64)
            matrices = operation.inverse(magnitudes, strengths, height, width)
            positions = padded(pushed(centres(height, width)[None], matrices), self.family.padding, height, width)
            index, weight = taps(positions, height, width)
            source = self.edges[edge][0] - self.family.inputs
            if source >= 0:
                index = index + pixels * (1 + source * moving) + frame
            used = (weight != 0).flatten(0, 1).any(0)
            indices.append(index.flatten(0, 1)[:, used])
            weights.append(weight.flatten(0, 1)[:, used])
            owners.extend([owner] * int(used.sum()))
        index = torch.cat(indices, 1).to(table.device)
        return _Mixture(
            index,
            torch.cat(weights, 1).to(table),
            torch.tensor(owners, device=table.device),
            Pattern.regular(index, pixels * (1 + node * moving)),
        )

    def policy(self, weights: Tensor | None = None, provenance: Mapping | None = None) -> Policy:
        """The policy of the strongest candidates: each node keeps the two edges whose best candidate weighs most.

        ``weights`` (edges, candidates) replaces ``softmax(alpha)``. Ties go to the lower index.
        """
        best = (self.weights() if weights is None else weights).detach().cpu().max(-1)
        kept = []
        for edges in self.family.incoming:
            kept += sorted(edges, key=lambda edge: -best.values[edge].item())[:KEPT_EDGES]
        return self.policy_from({edge: best.indices[edge].item() for edge in kept}, provenance)

    def policy_from(self, choice: Mapping[int, int], provenance: Mapping | None = None) -> Policy:
        """The policy that keeps exactly the edges of ``choice``, each with its candidate (row and column of alpha).

        Raises:
            DasError: for an edge or candidate that does not exist, or a node left without edges.
        """
        return self.family.policy(dict(sorted(choice.items())), self.candidates, provenance)
