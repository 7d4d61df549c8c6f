"""Warps whose magnitudes are learned: bilinear taps that are new at each call, with their slope in closed form."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from das.video.warp import centers, padded


def moving_taps(
    matrices: Tensor, offsets: Tensor, padding: str, size: tuple[int, int], index: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Bilinear readings of tables through inverse maps (S, n, 3, 3), in pixels about the image's center.

    ``offsets`` (S, n) are where in the stacked tables each image begins; ``index`` and ``weight`` (S * H * W, k)
    are other, constant readings of the same rows. Returns the rows that are read, int32, and their weights, both
    (S * H * W, 4 n + k): the four neighbors in turn, of all n maps, then the others. Weights are differentiable in the
    matrices, once, and have their dtype; neighbors outside the image get weight 0.
    """
    height, width = size
    places = centers(height, width, matrices.device).to(matrices.dtype)
    places = torch.cat([places, torch.ones_like(places[:, :1])], 1)
    x, y = (places @ matrices[:, :, row].mT for row in (0, 1))  # (S, H * W, n)
    if padding != "zeros":
        x, y = padded(torch.stack([x, y], -1), padding, height, width).unbind(-1)
    return _Taps.apply(x, y, offsets, size, index, weight)


class _Taps(torch.autograd.Function):
    """Coordinates x, y (S, N, n) -> rows and weights as `moving_taps` returns them."""

    @staticmethod
    def forward(ctx, x, y, offsets, size, index, weight):
        (left, right, in_left, in_right), columns = _neighbors(x, size[1])
        (top, bottom, in_top, in_bottom), lines = _neighbors(y, size[0])
        rows = [(line * size[1]).add_(offsets[:, None].int()) for line in lines]
        indices = _joined(x, 4, index.int(), torch.int32)
        weights = _joined(x, 4, weight, x.dtype)
        for part, (column, row) in zip(_parts(indices, x), ((0, 0), (1, 0), (0, 1), (1, 1)), strict=True):
            torch.add(columns[column], rows[row], out=part)
        for part, pair in zip(
            _parts(weights, x), ((left, top), (right, top), (left, bottom), (right, bottom)), strict=True
        ):
            torch.mul(*pair, out=part)
        ctx.save_for_backward(left, right, top, bottom, in_left, in_right, in_top, in_bottom)
        ctx.mark_non_differentiable(indices)
        return indices, weights

    @staticmethod
    @once_differentiable
    def backward(ctx, _, gradient):
        left, right, top, bottom, in_left, in_right, in_top, in_bottom = ctx.saved_tensors
        top_left, top_right, bottom_left, bottom_right = _parts(gradient, left)
        for_right = (top_right * top).addcmul_(bottom_right, bottom).mul_(in_right)
        for_bottom = (bottom_left * left).addcmul_(bottom_right, right).mul_(in_bottom)
        for_x = for_right.sub_((top_left * top).addcmul_(bottom_left, bottom).mul_(in_left))
        for_y = for_bottom.sub_((top_left * left).addcmul_(top_right, right).mul_(in_top))
        return for_x, for_y, None, None, None, None


def _joined(x: Tensor, times: int, others: Tensor, dtype: torch.dtype) -> Tensor:
    """Room for ``times`` values of each of ``x`` (S, N, n), by rows, with the ``others`` beside them."""
    count = times * x.shape[2]
    table = torch.empty(len(others), count + others.shape[1], dtype=dtype, device=x.device)
    table[:, count:] = others
    return table


def _parts(table: Tensor, x: Tensor) -> tuple[Tensor, ...]:
    """The four neighbors' values, each as ``x`` (S, N, n), in a table of rows."""
    return table[:, : 4 * x.shape[2]].unflatten(1, (4, -1)).unflatten(0, x.shape[:2]).unbind(2)


def _neighbors(coordinates: Tensor, side: int) -> tuple[tuple[Tensor, ...], tuple[Tensor, Tensor]]:
    """Of coordinates about the center of ``side`` pixels: the weights of the pixel before and the pixel after, whether
    (1 or 0) each is inside, and their places, int32, clamped to the side."""
    absolute = coordinates + (side - 1) / 2
    first = absolute.floor()
    share = absolute.sub_(first)
    place = first.clamp_(-2, side).int()
    before, after = ((place >= least) & (place < least + side) for least in (0, -1))
    inside = before.to(share.dtype), after.to(share.dtype)
    places = place.clamp(0, side - 1), (place + 1).clamp_(0, side - 1)
    return ((1 - share).mul_(inside[0]), share.mul_(inside[1]), *inside), places
