"""A family of policies: the search space that a cell relaxes, with its edges and the magnitudes drawn for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb, prod

import torch

from das.errors import DasError
from das.seeding import generator
from das.study import registry
from das.video.operations import operation_named
from das.video.policy import IMAGE, Choice, Edge, Policy, check_settings

KINDS = ("dag", "single")
MAGNITUDES = ("drawn", "grid", "learnable")
KEPT_EDGES = 2


@dataclass(frozen=True)
class Family:
    """All policies one cell can choose from.

    ``kind`` dag is the DARTS cell: inputs 0 and 1 are both the image, node n (numbered from 2) reads every earlier
    one, and a policy keeps two edges of each node. ``kind`` single is one edge from input 0 to node 1.
    ``magnitudes``: ``drawn`` and ``learnable`` give each edge its own magnitude per operation, drawn from ``seed``;
    ``grid`` makes four fixed magnitudes of each operation candidates of their own, alike on every edge. The other
    fields are those of ``Policy``.

    Raises:
        DasError: for a setting that is unknown or out of range.
    """

    space: str | Sequence[str] = "affine5"
    frames: int = 4
    kind: str = "dag"
    nodes: int = 4
    schedule: str = "mirrored"
    padding: str = "zeros"
    node_reduce: str = "mean"
    frame_layout: str = "frames"
    canvas: int | None = None
    magnitudes: str = "drawn"
    seed: int = 0

    def __post_init__(self):
        check_settings(self)
        for key, allowed in {"kind": KINDS, "magnitudes": MAGNITUDES}.items():
            if getattr(self, key) not in allowed:
                raise DasError(f"{key}: {getattr(self, key)!r} is unknown; choose one of {', '.join(allowed)}")
        if type(self.nodes) is not int or self.nodes < 1:
            raise DasError(f"nodes: {self.nodes!r} is not a whole number of at least 1")
        if type(self.seed) is not int:
            raise DasError(f"seed: {self.seed!r} is not a whole number")

    @property
    def inputs(self) -> int:
        return 2 if self.kind == "dag" else 1

    @cached_property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """(source, target) of each edge, grouped by target; sources below ``inputs`` are the image."""
        count = self.nodes if self.kind == "dag" else 1
        targets = range(self.inputs, self.inputs + count)
        return tuple((source, target) for target in targets for source in range(target))

    @cached_property
    def incoming(self) -> tuple[tuple[int, ...], ...]:
        """The indices of each node's edges."""
        targets = sorted({target for _, target in self.edges})
        return tuple(tuple(i for i, edge in enumerate(self.edges) if edge[1] == target) for target in targets)

    @cached_property
    def candidates(self) -> tuple[tuple[Choice, ...], ...]:
        """The candidates of each edge, in the order of alpha's columns."""
        names = operations_of(self.space)
        if self.magnitudes == "grid":
            row = tuple(Choice(name, magnitudes) for name in names for magnitudes in _grid(name))
            return (row,) * len(self.edges)
        draws = generator("cell", self.seed, "magnitudes")
        return tuple(
            tuple(Choice(name, tuple(values.draw(draws) for values in operation_named(name).ranges)) for name in names)
            for _ in self.edges
        )

    def size(self) -> int:
        """The number of discrete policies: a candidate for every kept edge, times the choices of edges to keep."""
        operations = len(self.candidates[0])
        kept = [min(KEPT_EDGES, len(edges)) for edges in self.incoming]
        return prod(
            comb(len(edges), count) * operations**count for edges, count in zip(self.incoming, kept, strict=True)
        )

    def policy(
        self, choice: Mapping[int, int], candidates: Sequence | None = None, provenance: Mapping | None = None
    ) -> Policy:
        """Build the policy that keeps exactly the edges of ``choice``, each with its candidate (both by index).

        ``candidates`` replaces the family's own (learned magnitudes).

        Raises:
            DasError: for an edge or candidate that does not exist, or a node left without edges.
        """
        candidates = candidates or self.candidates
        for edge, candidate in choice.items():
            if not 0 <= edge < len(self.edges):
                raise DasError(f"choice: edge {edge} does not exist; there are edges 0 to {len(self.edges) - 1}")
            if not 0 <= candidate < len(candidates[edge]):
                raise DasError(f"choice: edge {edge} has candidates 0 to {len(candidates[edge]) - 1}, not {candidate}")
        return self.mixed(
            [
                [(edge, (candidates[edge][choice[edge]],)) for edge in edges if edge in choice]
                for edges in self.incoming
            ],
            provenance,
        )

    def uniform(self, provenance: Mapping | None = None) -> Policy:
        """The control that keeps every edge as the even mixture of its candidates."""
        mixtures = [
            tuple(Choice(choice.operation, choice.magnitudes, 1 / len(row)) for choice in row)
            for row in self.candidates
        ]
        return self.mixed([[(edge, mixtures[edge]) for edge in edges] for edges in self.incoming], provenance)

    def random(self, seed: int, provenance: Mapping | None = None) -> Policy:
        """The control that draws kept edges and their candidates evenly, from ``seed``."""
        draws = generator("random policy", seed)
        choice = {}
        for edges in self.incoming:
            for position in torch.randperm(len(edges), generator=draws)[:KEPT_EDGES].tolist():
                edge = edges[position]
                choice[edge] = int(torch.randint(len(self.candidates[edge]), (), generator=draws))
        return self.policy(choice, provenance=provenance)

    def mixed(
        self, nodes: Sequence[Sequence[tuple[int, tuple[Choice, ...]]]], provenance: Mapping | None = None
    ) -> Policy:
        """The policy whose nodes reduce the edges given, each (its index, its mixture)."""

        def source(edge):
            first = self.edges[edge][0]
            return IMAGE if first < self.inputs else first - self.inputs

        return Policy(
            frames=self.frames,
            nodes=tuple(tuple(Edge(source(edge), mixture) for edge, mixture in edges) for edges in nodes),
            schedule=self.schedule,
            padding=self.padding,
            node_reduce=self.node_reduce,
            frame_layout=self.frame_layout,
            canvas=self.canvas,
            space=self.space if isinstance(self.space, str) else tuple(self.space),
            provenance=provenance or {},
        )


def operations_of(space: str | Sequence[str]) -> tuple[str, ...]:
    """The operations of a space, by its name or listed."""
    return tuple(registry.lookup("space", space).load() if isinstance(space, str) else space)


def _grid(name: str) -> tuple[tuple[float, ...], ...]:
    """The grid's magnitudes of one operation; the magnitudes of a compound go up together."""
    ranges = operation_named(name).ranges
    return tuple(zip(*(values.grid() for values in ranges), strict=True)) if ranges else ((),)
