"""How information crosses frames inside a 2D network.

Every module reads and returns frames folded into the batch, (B*T, C, H, W) with time fastest after batch, and is told
T by its attribute ``frames``. Definitions: TSM (mit-han-lab/temporal-shift-module,
ops/temporal_shift.py), GSM (swathikirans/GSM, gsm.py), GSF (swathikirans/GSF, gsf.py), GST (chenxuluo/GST-video,
GST.py). No convolution here is 3D: a kernel of three frames is a 2D convolution that gives the three frames' shares,
which are then added across frames.
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from das.errors import DasError

NCHW, NHWC = torch.contiguous_format, torch.channels_last


class TemporalFusion(nn.Module):
    """Base of the fusion modules: (B*T, C, H, W) -> (B*T, C', H', W'), T being ``frames``.

    DasError if the batch is not a multiple of T.
    """

    def __init__(self, frames: int):
        super().__init__()
        self.frames = frames

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[0] % self.frames:
            raise DasError(
                f"temporal fusion: {tuple(x.shape)}: the batch is not a multiple of T = {self.frames} frames"
            )
        return self.fuse(x)

    def fuse(self, x: Tensor) -> Tensor:
        raise NotImplementedError


class _Shift(torch.autograd.Function):
    """Channels [0, fold) from the next frame, [fold, 2 fold) from the previous; ``back`` is the transpose of that."""

    @staticmethod
    def forward(ctx, x: Tensor, frames: int, fold: int, back: bool) -> Tensor:
        ctx.arguments = frames, fold, not back
        out = x.clone()
        source, target = x.unflatten(0, (-1, frames)), out.unflatten(0, (-1, frames))
        first, second = slice(0, fold), slice(fold, 2 * fold)
        from_next, from_previous = (second, first) if back else (first, second)
        target[:, :-1, from_next] = source[:, 1:, from_next]
        target[:, -1, from_next] = 0
        target[:, 1:, from_previous] = source[:, :-1, from_previous]
        target[:, 0, from_previous] = 0
        return out

    @staticmethod
    def backward(ctx, grad: Tensor):
        return _Shift.apply(grad, *ctx.arguments), None, None, None


class TSM(TemporalFusion):
    """Temporal shift (Lin et al. 2019): the first C // fold_div channels come from the next frame, as many after them
    from the previous one, the others stay; zero beyond the ends. DasError for fewer than ``fold_div`` channels.
    """

    def __init__(self, channels: int, frames: int, fold_div: int = 8):
        super().__init__(frames)
        if fold_div < 2 or channels < fold_div:
            raise DasError(f"tsm: fold_div {fold_div} with {channels} channels; it takes 2 to the number of channels")
        self.fold = channels // fold_div

    def fuse(self, x: Tensor) -> Tensor:
        return _Shift.apply(x, self.frames, self.fold, False)


class _Gated(TemporalFusion):
    """The gate that GSM and GSF share: for each half of the channels a plane in (-1, 1) from three frames."""

    def __init__(self, channels: int, frames: int):
        super().__init__(frames)
        self.norm = nn.BatchNorm2d(channels)
        # Output channel 3 * half + k is the share of frame t + k - 1: weight[3 * half + k] is a Conv3d's [half, :, k].
        self.gate = nn.Conv2d(channels, 6, 3, padding=1, groups=2, bias=False)
        self.gate_bias = nn.Parameter(torch.zeros(2))

    def gates(self, x: Tensor) -> Tensor:
        """(B*T, C, H, W) -> (B, T, 2, H, W)."""
        shares = self.gate(F.relu_(self.norm(x))).unflatten(0, (-1, self.frames)).unflatten(2, (2, 3))
        previous, here, following = shares.unbind(3)
        gate = (here + self.gate_bias[:, None, None]).contiguous()
        gate[:, 1:] += previous[:, :-1]
        gate[:, :-1] += following[:, 1:]
        return gate.tanh_()


class GSM(_Gated):
    """Gate-shift (Sudhakaran et al. 2020): the gated part of each half of the channels moves one frame, the first
    half's from the next frame, the second's from the previous, zeros at the ends, and the rest is added to it; then
    the quarters of each half are interleaved. The gate starts at zero. DasError unless C is a multiple of 4.
    """

    def __init__(self, channels: int, frames: int):
        super().__init__(channels, frames)
        if channels % 4:
            raise DasError(f"gsm: {channels} channels; it needs a multiple of 4")
        nn.init.zeros_(self.gate.weight)

    def fuse(self, x: Tensor) -> Tensor:
        return _GatedShift.apply(x, self.gates(x))


class GSF(_Gated):
    """Gate-shift-fuse (Sudhakaran et al. 2023): GSM on the first ``ratio`` of the channels, with a weighted sum.

    w, one weight per channel and frame, is the sigmoid of a 3x3 convolution over (channel, frame) of the spatial means
    of the moved part y and of the rest r; the output is w * y + (1 - w) * r. The number of channels is
    floor(ratio * C) raised to a multiple of 4 (published: to an even number, but its quarters need a multiple of 4).
    DasError for a ratio outside (0, 1] or fewer channels than that.
    """

    def __init__(self, channels: int, frames: int, ratio: float = 0.25):
        gated = -(-int(ratio * channels) // 4) * 4
        if not 0 < ratio <= 1 or not 0 < gated <= channels:
            raise DasError(
                f"gsf: ratio {ratio} of {channels} channels; it needs a ratio in (0, 1] and at least 4 channels of it"
            )
        super().__init__(gated, frames)
        bound = (27 * gated / 2) ** -0.5  # a Conv3d's default
        nn.init.uniform_(self.gate.weight, -bound, bound)
        nn.init.uniform_(self.gate_bias, -bound, bound)
        self.channels = gated
        # Group i: means of half i's moved part and rest -> logits of its w; the plane is (channels of the half, T).
        self.weigh = nn.Conv2d(4, 2, 3, padding=1, groups=2)

    def fuse(self, x: Tensor) -> Tensor:
        gated = x[:, : self.channels].contiguous(memory_format=NHWC)
        return _GatedShiftFuse.apply(x, self.channels, self.gates(gated), self.weigh.weight, self.weigh.bias)


# Gates and weights broadcast fastest over whole planes, so from here to GST the gated channels are NCHW:
# (B, T, half, channel of the half, H, W).


def _planes(x: Tensor, gate: Tensor) -> Tensor:
    """Channels (B*T, C, H, W) as planes for ``gate`` (B, T, 2, 1, H, W); a copy, which may be written to."""
    return x.clone(memory_format=NCHW).view(*gate.shape[:3], -1, *gate.shape[4:])


def _in_order(x: Tensor) -> Tensor:
    """View of interleaved channels (N, C, H, W) in the order before: (N, half, quarter, channel of it, H, W)."""
    return x.unflatten(1, (2, -1, 2)).transpose(2, 3)


def _move_less(moving: Tensor, staying: Tensor, back: bool = False) -> Tensor:
    """Half 0 of ``moving`` from the next frame and half 1 from the previous (``back``: the transpose of that), minus
    ``staying``; (B, T, 2, …) each.
    """
    out = torch.empty_like(staying)
    for half in (0, 1):
        earlier, later, first, last = slice(None, -1), slice(1, None), 0, -1
        target, source, end = (earlier, later, last) if (half == 0) != back else (later, earlier, first)
        torch.sub(moving[:, source, half], staying[:, target, half], out=out[:, target, half])
        torch.neg(staying[:, end, half], out=out[:, end, half])
    return out


class _GatedShift(torch.autograd.Function):
    """GSM after its gate (B, T, 2, H, W): of y = gate * x, x + moved y - y, interleaved."""

    @staticmethod
    def forward(ctx, x: Tensor, gate: Tensor) -> Tensor:
        gate = gate.unsqueeze(3).to(x.dtype)
        planes = _planes(x, gate)
        ctx.save_for_backward(planes, gate)
        moving = planes * gate
        change = _move_less(moving, moving)
        out = _in_order(moving.view(x.shape))
        torch.add(planes.view(out.shape), change.view(out.shape), out=out)
        return _with_head(x, moving.view(x.shape))

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        planes, gate = ctx.saved_tensors
        to_planes = _planes(_in_order(grad), gate)
        to_share = _move_less(to_planes, to_planes, back=True)
        to_planes.addcmul_(gate, to_share)
        return _with_head(grad, to_planes.view(grad.shape)), to_share.mul_(planes).sum(3)


class _GatedShiftFuse(torch.autograd.Function):
    """GSF after its gate (B, T, 2, H, W), on the first ``channels`` of x."""

    @staticmethod
    def forward(ctx, x: Tensor, channels: int, gate: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        gate = gate.unsqueeze(3).to(x.dtype)
        planes = _planes(x[:, :channels], gate)
        moving = planes * gate
        rest = planes - moving
        change = _move_less(moving, rest)

        rest_mean = rest.mean((4, 5))
        moved_mean = _move_less(moving.mean((4, 5)), torch.zeros_like(rest_mean))
        with torch.enable_grad():
            means = torch.stack([moved_mean, rest_mean], dim=3).requires_grad_()
            parameters = [p.detach().requires_grad_() for p in (weight, bias)]
            logits = F.conv2d(means.permute(0, 2, 3, 4, 1).flatten(1, 2), *parameters, padding=1, groups=2)
            w = logits.permute(0, 3, 1, 2).sigmoid().to(x.dtype)[..., None, None]
        ctx.weighing = w, means, parameters
        ctx.save_for_backward(planes, gate, change)

        head = moving.view(-1, channels, *x.shape[2:])
        out = _in_order(head)
        torch.addcmul(rest.view(out.shape), w.detach().reshape(*out.shape[:4], 1, 1), change.view(out.shape), out=out)
        return _with_head(x, head)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad: Tensor):
        planes, gate, change = ctx.saved_tensors
        w, means, parameters = ctx.weighing
        channels, pixels = 2 * planes.shape[3], planes.shape[4] * planes.shape[5]
        to_rest = _planes(_in_order(grad[:, :channels]), gate)

        to_w = torch.linalg.vecdot(to_rest.flatten(4), change.flatten(4))[..., None, None]
        to_means, to_weight, to_bias = torch.autograd.grad(w, [means, *parameters], to_w, retain_graph=True)
        to_moved_mean, to_rest_mean = (to_means / pixels)[..., None, None].unbind(3)

        w = w.detach()
        to_moved = torch.addcmul(to_moved_mean, to_rest, w)
        to_rest = torch.addcmul(to_rest_mean, to_rest, 1 - w, out=to_rest)
        to_share = _move_less(to_moved, to_rest, back=True)
        to_planes = to_rest.addcmul_(gate, to_share)
        to_gate = to_share.mul_(planes).sum(3)
        return _with_head(grad, to_planes.view(-1, channels, *grad.shape[2:])), None, to_gate, to_weight, to_bias


def _with_head(x: Tensor, head: Tensor) -> Tensor:
    """Copy of ``x`` whose first channels are ``head``."""
    whole = head.shape[1] == x.shape[1]
    out = torch.empty_like(x, memory_format=NHWC) if whole else x.clone(memory_format=NHWC)
    out[:, : head.shape[1]] = head
    return out


class GST(TemporalFusion):
    """Grouped spatial-temporal convolution (Luo and Yuille 2019) in the place of a 3x3 ``conv``: of its C' outputs the
    first (alpha - 1)/alpha come from a 1x3x3 convolution, the last 1/alpha from a 3x3x3 convolution. With beta = 1 both
    read all inputs, with beta = 2 the first half and the second half. The 1x3x3 part starts from ``conv``'s weights.

    DasError unless ``conv`` is an undilated, ungrouped 3x3 without bias, C' a multiple of alpha, C one of beta.
    """

    def __init__(self, conv: nn.Conv2d, frames: int, alpha: int = 4, beta: int = 2):
        super().__init__(frames)
        plain = conv.kernel_size == (3, 3) and conv.dilation == (1, 1) and conv.padding == (1, 1)
        if not plain or conv.groups != 1 or conv.bias is not None:
            raise DasError(f"gst: cannot replace {conv}; it needs an ungrouped 3x3 convolution with padding 1, no bias")
        if alpha < 2 or beta not in (1, 2) or conv.out_channels % alpha or conv.in_channels % beta:
            raise DasError(
                f"gst: alpha {alpha}, beta {beta} for {conv.in_channels} -> {conv.out_channels} channels; alpha must "
                "be at least 2 and divide the outputs, beta be 1 or 2 and divide the inputs"
            )
        inputs, temporal = conv.in_channels // beta, conv.out_channels // alpha
        spatial = conv.out_channels - temporal
        self.split = beta == 2
        self.spatial = nn.Conv2d(inputs, spatial, 3, conv.stride, padding=1, bias=False)
        # Output channel k * temporal + c is the share of frame t + k - 1: rows of a Conv3d's weight[c, :, k].
        self.temporal = nn.Conv2d(inputs, 3 * temporal, 3, conv.stride, padding=1, bias=False)
        with torch.no_grad():
            self.spatial.weight.copy_(conv.weight[:spatial, :inputs])
        nn.init.kaiming_normal_(self.temporal.weight, mode="fan_out", nonlinearity="relu")

    def fuse(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, dim=1) if self.split else (x, x)
        previous, here, following = self.temporal(second).unflatten(0, (-1, self.frames)).chunk(3, dim=2)
        here = here.clone()
        here[:, 1:] += previous[:, :-1]
        here[:, :-1] += following[:, 1:]
        return torch.cat([self.spatial(first), here.flatten(0, 1)], dim=1)


# -- what stands in place of a convolution: the components that studies name ---------------------------------------


def without(conv: nn.Conv2d, frames: int) -> nn.Module:
    """The convolution alone."""
    return conv


def with_tsm(conv: nn.Conv2d, frames: int, **options) -> nn.Module:
    """TSM, then the convolution."""
    return nn.Sequential(OrderedDict(tsm=TSM(conv.in_channels, frames, **options), conv=conv))


def with_gsm(conv: nn.Conv2d, frames: int) -> nn.Module:
    """The convolution, then GSM."""
    return nn.Sequential(OrderedDict(conv=conv, gsm=GSM(conv.out_channels, frames)))


def with_gsf(conv: nn.Conv2d, frames: int, **options) -> nn.Module:
    """The convolution, then GSF."""
    return nn.Sequential(OrderedDict(conv=conv, gsf=GSF(conv.out_channels, frames, **options)))


def with_gst(conv: nn.Conv2d, frames: int, **options) -> nn.Module:
    """GST for the convolution."""
    return nn.Sequential(OrderedDict(gst=GST(conv, frames, **options)))
