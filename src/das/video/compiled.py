"""A policy compiled for one image size: paths of affine operations become one constant sparse map, applied once.

The definition of a policy's video: along each path from the image to the last node, every output pixel's coordinate is
pushed through the inverse maps of the operations, one after another in float64, with the padding rule at every step as
the step-by-step cell applies it (zeros: times the bilinear coverage of the position; border and reflection: moved
inside); at the end the image is read there, bilinearly, once. Paths combine with the weights of nodes and mixtures.
Photometric operations are not linear: what they read and what they give are tables of their own, and the affine runs
between them are compiled. The same holds for a node with more than ``MOST_PATHS`` paths (the uniform mixture).
"""

from dataclasses import dataclass

from das.video.operations import OPERATIONS
from das.video.policy import IMAGE, Choice, Policy

MOST_PATHS = 64
PRECISION = 1e-9


@dataclass(frozen=True)
class Path:
    """A way from a table (0: the image) to a node: affine operations in order, and its weight."""

    table: int
    operations: tuple[Choice, ...]
    weight: float


@dataclass(frozen=True)
class Warp:
    """A step that makes a table as a weighted sum of paths."""

    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Recolour:
    """A step that makes a table by a photometric operation on another."""

    table: int
    choice: Choice


def program(policy: Policy) -> list[Warp | Recolour]:
    """The steps that make the video of ``policy``; step k makes table k + 1, table 0 is the image, the last the video."""
    steps, nodes = [], []

    def made(step) -> int:
        steps.append(step)
        return len(steps)

    def as_table(paths: tuple[Path, ...]) -> int:
        if len(paths) == 1 and not paths[0].operations and paths[0].weight == 1:
            return paths[0].table
        return made(Warp(paths))

    for edges in policy.nodes:
        share = 1 / len(edges) if policy.node_reduce == "mean" else 1
        paths: dict = {}

        def add(path, paths=paths):
            key = (path.table, path.operations)
            paths[key] = paths.get(key, 0) + path.weight

        for edge in edges:
            source = (Path(0, (), 1.0),) if edge.source == IMAGE else nodes[edge.source]
            for choice in edge.mixture:
                weight = share * choice.weight
                if OPERATIONS[choice.operation].recolour:
                    table = as_table(source)
                    if edge.source != IMAGE:
                        source = nodes[edge.source] = (Path(table, (), 1.0),)
                    add(Path(made(Recolour(table, choice)), (), weight))
                    continue
                moved = () if choice.operation == "identity" else (Choice(choice.operation, choice.magnitudes),)
                for path in source:
                    add(Path(path.table, path.operations + moved, path.weight * weight))
        node = tuple(Path(table, operations, weight) for (table, operations), weight in paths.items())
        nodes.append(node if len(node) <= MOST_PATHS else (Path(made(Warp(node)), (), 1.0),))
    as_table(nodes[-1])
    return steps
