"""Affine warps as constant sparse linear maps of the pixels, and their deterministic products.

Images are held as tables (H*W, B*C): a row is one pixel of every image and channel. A warp reads each output pixel
from a few input rows (bilinear taps), so applying it is a weighted sum of rows, its gradient for the weights is one
inner product per tap, and its gradient for the table is a weighted sum again. None of these needs atomics: results are
the same bit for bit on every run, and with any number of threads.

Convention: align_corners=False (pixel areas); coordinates are pixels about the image's center, x then y.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

with warnings.catch_warnings():  # PyTorch announces once per process that CSR tensors are in beta: not a user's concern
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)

NEGLIGIBLE = 1e-9  # of a pixel: rounding of float64 coordinates


class Pattern:
    """Where a sparse map (rows x columns) has entries, in CSR form.

    ``starts`` (rows + 1,) and ``index`` (entries,), the entries' columns row by row, are kept as int32 where that holds
    them: half as much to read as int64.
    """

    def __init__(self, starts: Tensor, index: Tensor, columns: int):
        integers = torch.int32 if max(index.numel(), columns) < 2**31 else torch.int64
        self.starts, self.index, self.columns = starts.to(integers), index.to(integers), columns
        self._transposed: dict = {}

    @staticmethod
    def regular(index: Tensor, columns: int) -> "Pattern":
        """The same number of entries in every row: ``index`` (rows, taps)."""
        rows, taps = index.shape
        return Pattern(torch.arange(rows + 1, device=index.device) * taps, index.flatten(), columns)

    def transposed(self, first: int) -> tuple["Pattern", Tensor]:
        """The transposed map of the columns from ``first`` on, and which of this map's entries are its entries."""
        if first not in self._transposed:
            rows, device = len(self.starts) - 1, self.index.device
            if device.type == "cpu":
                self._transposed[first] = self._counted(first)
                return self._transposed[first]
            columns, order = self.index.sort(stable=True)
            skipped = int(torch.searchsorted(columns, first))
            columns, order = columns[skipped:], order[skipped:].to(columns.dtype)
            bounds = torch.arange(first, self.columns + 1, dtype=columns.dtype, device=device)
            starts = torch.searchsorted(columns, bounds)
            owner = torch.arange(rows, device=device).repeat_interleave(self.starts.diff(), output_size=len(self.index))
            self._transposed[first] = Pattern(starts, owner[order], rows), order
        return self._transposed[first]

    def _counted(self, first: int) -> tuple["Pattern", Tensor]:
        """`transposed` on the CPU: by counting, which is linear where sorting is not, to the same order."""
        entries = np.arange(len(self.index), dtype=self.index.numpy().dtype)
        shape = (len(self.starts) - 1, self.columns)
        columns = csr_array((entries, self.index.numpy(), self.starts.numpy()), shape=shape).tocsc()
        skipped = columns.indptr[first]
        owner, order = (torch.from_numpy(part[skipped:]) for part in (columns.indices, columns.data))
        return Pattern(torch.from_numpy(columns.indptr[first:] - skipped), owner, shape[0]), order


def product(pattern: Pattern, values: Tensor, *tables: Tensor) -> Tensor:
    """Apply the sparse map with entries ``values`` (entries,) to the ``tables`` stacked by rows: (rows, B*C).

    Differentiable once in ``values`` and ``tables``.
    """
    return _Product.apply(pattern, values, *tables)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, pattern, values, *tables):
        ctx.pattern = pattern
        ctx.save_for_backward(values, *tables)
        return _weighted_rows(pattern, values, torch.cat(tables))

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        pattern = ctx.pattern
        values, *tables = ctx.saved_tensors
        gradient = gradient.contiguous()
        for_values, for_tables = None, [None] * len(tables)
        if ctx.needs_input_grad[1]:
            shape = (len(gradient), pattern.columns)
            zeros = torch.zeros_like(values)
            entries = torch.sparse_csr_tensor(pattern.starts, pattern.index, zeros, shape, check_invariants=False)
            torch.sparse.sampled_addmm(entries, gradient, torch.cat(tables).t(), out=entries)  # no copy of the pattern
            for_values = entries.values()
        if any(ctx.needs_input_grad[2:]):
            lengths = [len(table) for table in tables]
            needed = ctx.needs_input_grad[2:].index(True)
            transposed, order = pattern.transposed(sum(lengths[:needed]))
            total = _weighted_rows(transposed, values.index_select(0, order), gradient)
            for_tables[needed:] = total.split(lengths[needed:])
        return None, for_values, *for_tables


def _weighted_rows(pattern: Pattern, values: Tensor, table: Tensor) -> Tensor:
    return F.embedding_bag(
        pattern.index, table, pattern.starts, mode="sum", per_sample_weights=values, include_last_offset=True
    )


def centers(height: int, width: int, device: torch.device | str = "cpu") -> Tensor:
    """Coordinates (H*W, 2) of the pixels' centers, float64."""
    y = torch.arange(height, dtype=torch.float64, device=device) - (height - 1) / 2
    x = torch.arange(width, dtype=torch.float64, device=device) - (width - 1) / 2
    return torch.cartesian_prod(y, x).flip(-1)


def pushed(positions: Tensor, matrices: Tensor) -> Tensor:
    """Apply (S, 3, 3) matrices to coordinates (S or 1, N, 2)."""
    linear, offset = matrices[:, :2, :2], matrices[:, :2, 2]
    return positions @ linear.mT + offset[:, None]


def padded(positions: Tensor, padding: str, height: int, width: int) -> Tensor:
    """Bring coordinates (..., 2) that lie outside the image into it, where the padding rule does so.

    The rules are those of ``grid_sample``: border clamps, reflection mirrors at the image's outer edge, and zeros
    leaves coordinates outside, to be read as zero.
    """
    if padding == "zeros":
        return positions
    sides = torch.tensor([width, height], dtype=positions.dtype, device=positions.device)
    if padding == "reflection":
        beyond = torch.remainder(positions + sides / 2, 2 * sides)
        positions = sides - (beyond - sides).abs() - sides / 2
    return torch.maximum(torch.minimum(positions, (sides - 1) / 2), (1 - sides) / 2)


def coverage(positions: Tensor, height: int, width: int) -> Tensor:
    """The bilinear weight, in [0, 1], with which positions (..., 2) read inside the image; outside counts as zero."""
    sides = torch.tensor([width, height], dtype=positions.dtype, device=positions.device)
    return torch.clamp((sides + 1) / 2 - positions.abs(), 0, 1).prod(-1)


def taps(positions: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Bilinear reading of an H x W table at coordinates (..., 2): rows (..., 4) int64 and weights (..., 4) float64.

    Neighbors outside the image get weight 0. Differentiable in the coordinates.
    """
    sides = torch.tensor([width, height], dtype=positions.dtype, device=positions.device)
    absolute = positions + (sides - 1) / 2
    rounding = (absolute - absolute.round()).detach()
    absolute = absolute - torch.where(rounding.abs() < NEGLIGIBLE, rounding, 0)
    first = absolute.detach().floor()
    share = absolute - first
    corner = torch.tensor([[0, 0], [1, 0], [0, 1], [1, 1]], dtype=positions.dtype, device=positions.device)
    pixels = first[..., None, :] + corner
    weights = (corner * share[..., None, :] + (1 - corner) * (1 - share[..., None, :])).prod(-1)
    inside = ((pixels >= 0) & (pixels < sides)).all(-1)
    pixels = pixels.clamp(torch.zeros_like(sides), sides - 1).long()
    return pixels[..., 1] * width + pixels[..., 0], weights * inside


def sampled(images: Tensor, matrices: Tensor, padding: str = "zeros") -> Tensor:
    """Each image (B, C, H, W) read bilinearly through its own inverse map (B, 3, 3), in pixels about the center.

    Products run in the images' dtype. Differentiable in the matrices; deterministic on every device.
    """
    height, width = images.shape[2:]
    positions = padded(pushed(centers(height, width, images.device)[None], matrices.double()), padding, height, width)
    index, weight = taps(positions, height, width)
    planes = images.flatten(2)
    read = planes.gather(2, index.flatten(1)[:, None].expand(-1, planes.shape[1], -1)).unflatten(2, (-1, 4))
    return (read * weight.to(images.dtype)[:, None]).sum(-1).view_as(images)


def to_table(images: Tensor) -> Tensor:
    """Images (B, C, H, W) -> table (H*W, B*C)."""
    batch, channels, height, width = images.shape
    return images.reshape(batch * channels, height * width).t().contiguous()


def to_images(table: Tensor, shape: Sequence[int]) -> Tensor:
    """Table (H*W, B*C) -> images of ``shape`` (B, C, H, W)."""
    return table.t().contiguous().view(*shape)
