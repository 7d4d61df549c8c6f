"""Draws that torch makes from its global generator only, made from an explicit one."""

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


@contextlib.contextmanager
def forked(generator: torch.Generator) -> Iterator[None]:
    """Let torch's global CPU generator draw from ``generator`` inside, and be as it was afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_seed(generator))
        yield


def beta(alpha: float, generator: torch.Generator, count: int | None = None) -> float | Tensor:
    """Draw from Beta(alpha, alpha): one float, or float32 (count,)."""
    draws = np.random.default_rng(_seed(generator)).beta(alpha, alpha, count)
    return float(draws) if count is None else torch.from_numpy(draws).float()


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator))
