"""Stratified index splits that depend on nothing but labels and identity, and the files that let others check them."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from das import seeding
from das.errors import DasError
from das.files import read_json


def holdout(labels: Tensor, fraction: float, *identity: str | int) -> tuple[Tensor, Tensor]:
    """Return (kept, held): int64 indices, ascending, that together are all of ``labels`` (int64, (N,)).

    ``held`` has floor(N * fraction) members, of each class its share to within one.
    """
    order = _by_class(labels, "holdout", *identity)
    steps = torch.floor(torch.arange(len(labels) + 1, dtype=torch.float64) * fraction + 1e-9)
    chosen = steps.diff() > 0
    return order[~chosen].sort().values, order[chosen].sort().values


def halves(labels: Tensor, *identity: str | int) -> tuple[Tensor, Tensor]:
    """Return two disjoint halves of ``labels``, as `holdout` does: sizes and class counts differ by at most one."""
    return holdout(labels, 0.5, *identity)


def per_class(labels: Tensor, count: int, *identity: str | int) -> Tensor:
    """Return the ascending indices of ``count`` examples of each class in ``labels``, drawn by chance."""
    order = _by_class(labels, "per_class", *identity)
    sizes = torch.bincount(labels.cpu())
    starts = sizes.cumsum(0) - sizes
    rank = torch.arange(len(order)) - starts.repeat_interleave(sizes)
    return order[rank < count].sort().values


def consecutive(labels: Tensor, start: int, count: int) -> Tensor:
    """Return the ascending indices of the images ``start`` to ``start + count - 1`` of each class, counted in the order
    of ``labels``: how small-data benchmarks cut their splits (Brigato et al. 2022; cvjena/deic)."""
    rank = _rank(labels)
    return ((rank >= start) & (rank < start + count)).nonzero().squeeze(1)


def last_held(labels: Tensor, fraction: float) -> tuple[Tensor, Tensor]:
    """Return (kept, held): ascending indices; ``held`` are the last floor(n * fraction) of each class's n images."""
    sizes = torch.bincount(labels.cpu())
    first_held = sizes - torch.floor(sizes * fraction + 1e-9).long()
    held = _rank(labels) >= first_held[labels.cpu()]
    return (~held).nonzero().squeeze(1), held.nonzero().squeeze(1)


def _rank(labels: Tensor) -> Tensor:
    """The place of each image among those of its class, in the order of ``labels``."""
    order = labels.cpu().argsort(stable=True)
    sizes = torch.bincount(labels.cpu())
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    return rank


def _by_class(labels: Tensor, *identity: str | int) -> Tensor:
    """All indices, shuffled, then grouped by class."""
    shuffled = torch.randperm(len(labels), generator=seeding.generator(*identity))
    return shuffled[labels.cpu()[shuffled].argsort(stable=True)]


def text(parts: Mapping[str, Tensor], *, digest: str, identity: tuple[str | int, ...]) -> str:
    """The index file of a split: its identity, the digest of the set that it cuts, and the parts' indices."""
    content = {
        "identity": list(identity),
        "digest": digest,
        "parts": {name: indices.tolist() for name, indices in parts.items()},
    }
    return json.dumps(content, separators=(",", ":")) + "\n"


def read(path: Path, *, digest: str) -> dict[str, Tensor]:
    """Return the parts of an index file; DasError where it is unreadable or cuts another set than ``digest``'s."""
    content = read_json(path)
    try:
        parts = {name: torch.tensor(indices, dtype=torch.int64) for name, indices in content["parts"].items()}
        found = content["digest"]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise DasError(f"{path}: not an index file; delete it to have it made again") from error
    if found != digest:
        raise DasError(f"{path}: made for a data set with digest {found}, this one has {digest}; delete it")
    return parts
