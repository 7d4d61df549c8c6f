"""Does a search find what was planted? Kind, side and size of a policy's moves against the known nuisance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from das.analysis import results
from das.analysis.paths import paths
from das.study.schema import Planted, Study
from das.video.operations import operation_named
from das.video.policy import Choice, Policy
from das.video.schedule import strengths

FACTOR = 2.0  # within which a size counts as right
Moves = Mapping[str, float]


@dataclass(frozen=True)
class Kind:
    """What a policy does by one operation.

    ``share`` in (0, 1], of the weight of its paths from image to video that move by it; ``farthest``, the largest move
    of a frame, a mean over those paths; ``lower`` and ``upper``, the shares of moved frames on either side of the
    neutral magnitude. Moves are in the operation's unit from its neutral magnitude, those of zooms logarithms.
    """

    share: float
    farthest: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Answer:
    """What a policy gets right of a planted nuisance: the ``kind`` (none moves more of its paths), the ``side`` (more
    than half of the frames it moves lie where the nuisance lies) and the ``size`` (its farthest frame is as far as the
    nuisance reaches, to a factor of 2). ``share``, and ``ratio`` of farthest frame to reach, are what that is read
    from."""

    kind: bool
    side: bool
    size: bool
    share: float
    ratio: float

    @property
    def all(self) -> bool:
        return self.kind and self.side and self.size


def kinds(policy: Policy) -> dict[str, Kind]:
    """{operation: what the policy does by it}; empty for a policy that moves nothing.

    Raises DasError for a policy with thousands of paths, as even mixtures have.
    """
    steps = [strength for strength in strengths(policy.schedule, policy.frames) if strength]
    moving = {path: weight for path, weight in paths(policy, (), _joined).items() if path and steps}
    found = {}
    for name in sorted({name for path in moving for name, _ in path}):
        moves = [(dict(path)[name], weight) for path, weight in moving.items() if name in dict(path)]
        total = sum(weight for _, weight in moves)
        far = max(map(abs, steps))
        upper = sum(weight * sum(move * step > 0 for step in steps) for move, weight in moves)
        found[name] = Kind(
            share=total,
            farthest=sum(weight * abs(move) * far for move, weight in moves) / total,
            lower=1 - upper / total / len(steps),
            upper=upper / total / len(steps),
        )
    return found


def answer(policy: Policy, planted: Planted) -> Answer:
    """What ``policy`` gets right of ``planted``."""
    found = kinds(policy)
    own = found.get(planted.operation)
    if own is None:
        return Answer(False, False, False, 0.0, 0.0)
    low, high = map(math.log, planted.bounds) if planted.operation == "zoom" else planted.bounds
    ratio = own.farthest / max(abs(low), abs(high))
    return Answer(
        kind=own.share >= max(kind.share for kind in found.values()) - 1e-9,
        side=own.lower * (low < 0) + own.upper * (high > 0) > 0.5,
        size=1 / FACTOR <= ratio <= FACTOR,
        share=own.share,
        ratio=ratio,
    )


def _joined(path: tuple[tuple[str, float], ...], choice: Choice) -> tuple[tuple[str, float], ...]:
    """The net moves of a path with one more operation at its end."""
    moves = dict(path)
    ranges = operation_named(choice.operation).ranges
    names = choice.operation.split("+") if ranges else []
    for name, magnitude, values in zip(names, choice.magnitudes, ranges, strict=True):
        move = math.log(magnitude) if name == "zoom" else magnitude - values.neutral
        moves[name] = round(moves.get(name, 0.0) + move, 9)
    return tuple(sorted((name, move) for name, move in moves.items() if move))


def planted_table(study: Study) -> pd.DataFrame:
    """One row per planted data set, backbone and searched policy: in what share of the seeds the search found it.

    Shares are in percent; `ratio` is the median size of what was chosen to what was planted, where the kind was right.
    """
    columns = ["dataset", "operation", "low", "high", "backbone", "policy", "seeds", "kind", "side", "size", "all",
               "path_share", "ratio"]  # fmt: skip
    rows = []
    for search in results.searches(study):
        planted = study.datasets[search["dataset"]].planted
        if planted:
            found = answer(Policy.load(search["path"]), planted)
            right = {"kind": found.kind, "side": found.side, "size": found.size, "all": found.all}
            rows.append({
                "dataset": study.datasets[search["dataset"]].title,
                "operation": planted.operation,
                "low": planted.bounds[0],
                "high": planted.bounds[1],
                "backbone": study.backbones[search["backbone"]].title,
                "policy": search["policy"],
                "seed": search["seed"],
                **{name: 100.0 * hit for name, hit in right.items()},
                "path_share": 100 * found.share,
                "ratio": found.ratio if found.kind else float("nan"),
            })  # fmt: skip
    if not rows:
        return pd.DataFrame(columns=columns)
    grouped = pd.DataFrame(rows).groupby([c for c in columns[:6]], sort=False)
    means = {name: (name, "mean") for name in ("kind", "side", "size", "all", "path_share")}
    return grouped.agg(seeds=("seed", "size"), **means, ratio=("ratio", "median")).reset_index()[columns]


def readable_planted(table: pd.DataFrame) -> pd.DataFrame:
    """The table of planted nuisances as people read it."""
    return pd.DataFrame({
        "Data set": table.dataset,
        "Backbone": table.backbone,
        "Planted": [f"{o} {a:.3g} to {b:.3g}" for o, a, b in zip(table.operation, table.low, table.high, strict=True)],
        "Search": table.policy,
        "Seeds": table.seeds.map("{:.0f}".format),
        **{f"{title}, % of seeds": table[name].map("{:.0f}".format) for name, title in
           {"kind": "Kind", "side": "Side", "size": "Size", "all": "All three"}.items()},
        "Size, chosen to planted": ["" if ratio != ratio else f"{ratio:.2f}" for ratio in table.ratio],
    })  # fmt: skip
