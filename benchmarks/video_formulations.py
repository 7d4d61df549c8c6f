"""Ways to mix the five candidates of one edge in one frame, forward and backward to the mixture's weights.

This is what the choice of ``das.video.warp`` rests on. Run
``OMP_NUM_THREADS=1 uv run python -m benchmarks.video_formulations``.
"""

import torch
from torch.nn import functional as F

from benchmarks._measure import fastest, write
from das.video.family import Family
from das.video.operations import operation_named
from das.video.warp import Pattern, centers, product, pushed, taps, to_images, to_table

BATCH, REPETITIONS = 128, 10


def formulations(side):
    """Runs that give the gradient of the weights (5,), by name."""
    pixels, images = side * side, torch.rand(BATCH, 3, side, side)
    direction, weights = torch.randn(images.shape), torch.full((5,), 0.2, requires_grad=True)
    strength = torch.tensor([2.0], dtype=torch.float64)
    positions = []
    for choice in Family().candidates[0]:
        magnitudes = torch.tensor(choice.magnitudes, dtype=torch.float64)
        inverse = operation_named(choice.operation).inverse(magnitudes, strength, side, side)
        positions.append(pushed(centers(side, side)[None], inverse)[0])
    grids = torch.stack([(p * 2 / side).view(side, side, 2) for p in positions]).float()
    index, bilinear = (torch.cat(parts, 1) for parts in zip(*(taps(p, side, side) for p in positions), strict=True))
    used = (bilinear != 0).any(0)
    owner = torch.arange(5).repeat_interleave(4)[used]
    index, bilinear = index[:, used], bilinear[:, used].float()
    pattern = Pattern.regular(index, pixels)
    table, table_direction = to_table(images), to_table(direction)
    planes = images.view(1, -1, side, side)

    def gradient(mixture, towards):
        weights.grad = None
        mixture.backward(towards)
        return weights.grad

    def loop():
        parts = (F.grid_sample(images, grid.expand(BATCH, -1, -1, -1), align_corners=False) for grid in grids)
        return gradient(sum(w * part for w, part in zip(weights, parts, strict=True)), direction)

    def folded():
        rows = F.grid_sample(images, grids.view(1, -1, side, 2).expand(BATCH, -1, -1, -1), align_corners=False)
        return gradient(torch.einsum("bckhw,k->bchw", rows.unflatten(2, (5, side)), weights), direction)

    def folded_planes():
        rows = F.grid_sample(planes, grids.view(1, -1, side, 2), align_corners=False)
        return gradient(torch.einsum("bckhw,k->bchw", rows.unflatten(2, (5, side)), weights), direction.view_as(planes))

    def gathered():
        rows = table[index] * (bilinear * weights[owner])[..., None]
        return gradient(rows.sum(1), table_direction)

    def sparse():
        return gradient(product(pattern, (bilinear * weights[owner]).flatten(), table), table_direction)

    def sparse_from_images():
        mixed = product(pattern, (bilinear * weights[owner]).flatten(), to_table(images))
        return gradient(to_images(mixed, images.shape), direction)

    runs = {
        "sparse product on tables (ours)": sparse,
        "the same, to and from (B, C, H, W)": sparse_from_images,
        "grid_sample per candidate, constant grids": loop,
        "one grid_sample, candidates as rows": folded,
        "one grid_sample, batch as channels too": folded_planes,
        "index_select and weights": gathered,
    }
    if side <= 32:
        stacked = torch.stack([_dense(p, side) for p in positions])

        def dense():
            return gradient((stacked * weights[:, None, None]).sum(0) @ table, table_direction)

        runs["dense matrices"] = dense
    return runs


def _dense(positions, side):
    index, weight = taps(positions, side, side)
    rows = torch.arange(side * side)[:, None].expand_as(index)
    return torch.zeros(side * side, side * side).index_put_((rows, index), weight.float(), accumulate=True)


def main():
    rows = []
    for side in (32, 64):
        runs = formulations(side)
        (ours, *_), expected = runs, next(iter(runs.values()))()
        for run in runs.values():
            torch.testing.assert_close(run(), expected, rtol=1e-3, atol=1e-2 * expected.abs().max().item())
        seconds = fastest(runs, REPETITIONS)
        rows += [
            {"side": side, "formulation": name, "ms": 1e3 * value, "times ours": value / seconds[ours]}
            for name, value in seconds.items()
        ]
    write("video_formulations", "One edge, one frame, forward and backward to the mixture's weights", rows)


if __name__ == "__main__":
    main()
