"""Every fusion module against its definition, written with loops over frames and channels, in float64."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from das.errors import DasError
from das.models.fusion import GSF, GSM, GST, TSM

FRAMES = (1, 2, 3, 4, 5)


def videos_like(batch, frames, channels, side=5):
    generator = torch.Generator().manual_seed(frames * 100 + channels)
    return torch.randn(batch, frames, channels, side, side + 1, generator=generator, dtype=torch.float64)


def randomize(module):
    """Give every parameter a value that matters (published zeros would hide errors)."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.4)
    return module.double()


def frame(video, t):
    """Frame t of (T, …), zero beyond the ends."""
    return video[t] if 0 <= t < len(video) else torch.zeros_like(video[0])


def agrees(module, definition, videos):
    """Outputs and gradients to the input and to every parameter, for two memory layouts."""
    for memory_format in (torch.contiguous_format, torch.channels_last):
        folded = videos.flatten(0, 1).contiguous(memory_format=memory_format)
        results = []
        for function in (module, lambda x: definition(x.unflatten(0, videos.shape[:2])).flatten(0, 1)):
            x = folded.clone().requires_grad_()
            module.zero_grad()
            out = function(x)
            weights = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape).sin()
            (out * weights).sum().backward()
            results.append((out.detach(), x.grad, *(p.grad.clone() for p in module.parameters())))
        for ours, theirs in zip(*results, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def conv3d(x, weight, bias):
    """The literal 3x3x3 convolution with two groups; (B, T, C, H, W) both ways."""
    return F.conv3d(x.transpose(1, 2), weight, bias, padding=1, groups=2).transpose(1, 2)


def gates_of(module, x):
    """GSM's gate from BatchNorm3d, ReLU, Conv3d, tanh, sharing the module's parameters."""
    norm = module.norm
    normed = F.batch_norm(x.transpose(1, 2), None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
    weight = module.gate.weight.view(2, 3, x.shape[2] // 2, 3, 3).transpose(1, 2)
    return torch.tanh(conv3d(F.relu(normed).transpose(1, 2), weight, module.gate_bias))


def interleaved(halves):
    """Quarters of each half, alternating: (first of quarter 0, first of quarter 1, second of quarter 0, …)."""
    out = []
    for half in halves:
        quarter = len(half) // 2
        for k in range(quarter):
            out += [half[k], half[quarter + k]]
    return out


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize(("channels", "fold_div"), [(16, 8), (11, 4), (6, 3)])
def test_tsm(frames, channels, fold_div):
    fold = channels // fold_div

    def definition(x):
        def value(video, t, c):
            if c < fold:
                return frame(video, t + 1)[c]
            if c < 2 * fold:
                return frame(video, t - 1)[c]
            return video[t, c]

        return torch.stack(
            [
                torch.stack([torch.stack([value(video, t, c) for c in range(channels)]) for t in range(frames)])
                for video in x
            ]
        )

    agrees(TSM(channels, frames, fold_div).double(), definition, videos_like(2, frames, channels))


def test_tsm_second_derivative():
    torch.autograd.gradgradcheck(TSM(8, 3), videos_like(1, 3, 8, 2).flatten(0, 1).requires_grad_())


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize("channels", [4, 12])
def test_gsm(frames, channels):
    module = randomize(GSM(channels, frames))

    def definition(x):
        gates = gates_of(module, x)
        videos = []
        for video, gate in zip(x, gates, strict=True):
            out = []
            for t in range(frames):
                halves = []
                for i, step in ((0, 1), (1, -1)):
                    half = range(i * channels // 2, (i + 1) * channels // 2)
                    halves.append(
                        [
                            frame(gate[:, i] * video[:, c], t + step) + video[t, c] - gate[t, i] * video[t, c]
                            for c in half
                        ]
                    )
                out.append(torch.stack(interleaved(halves)))
            videos.append(torch.stack(out))
        return torch.stack(videos)

    agrees(module, definition, videos_like(2, frames, channels))


def test_gsm_starts_as_an_interleaving():
    x = videos_like(2, 3, 8).flatten(0, 1).float()
    torch.testing.assert_close(GSM(8, 3)(x), x[:, [0, 2, 1, 3, 4, 6, 5, 7]])


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize(("channels", "ratio", "gated"), [(8, 1.0, 8), (16, 0.25, 4), (18, 0.5, 12), (18, 0.25, 4)])
def test_gsf(frames, channels, ratio, gated):
    module = randomize(GSF(channels, frames, ratio))
    assert module.channels == gated

    def definition(x):
        gates = gates_of(module, x[:, :, :gated])
        videos = []
        for video, gate in zip(x, gates, strict=True):
            halves = []
            for i, step in ((0, 1), (1, -1)):
                half = range(i * gated // 2, (i + 1) * gated // 2)
                y = [[frame(gate[:, i] * video[:, c], t + step) for t in range(frames)] for c in half]
                r = [[video[t, c] - gate[t, i] * video[t, c] for t in range(frames)] for c in half]
                means = torch.stack([torch.stack([torch.stack([p.mean() for p in row]) for row in m]) for m in (y, r)])
                weight, bias = module.weigh.weight[i : i + 1], module.weigh.bias[i : i + 1]
                w = torch.sigmoid(F.conv2d(means[None], weight, bias, padding=1))[0, 0]
                halves.append(
                    [[w[k, t] * y[k][t] + (1 - w[k, t]) * r[k][t] for t in range(frames)] for k in range(len(half))]
                )
            out = []
            for t in range(frames):
                planes = interleaved([[row[t] for row in half] for half in halves])
                out.append(torch.stack(planes + [video[t, c] for c in range(gated, channels)]))
            videos.append(torch.stack(out))
        return torch.stack(videos)

    agrees(module, definition, videos_like(2, frames, channels))


def moved(y, step):
    """Frames (B, T, …) from the next (1) or the previous (-1) one, zero beyond the ends."""
    rolled = y.roll(-step, 1)
    rolled[:, -1 if step == 1 else 0] = 0
    return rolled


def gsf_in_whole_tensors(module, x):
    """GSF on all channels of (B, T, C, H, W), as it is published."""
    gates, quarter, outs = gates_of(module, x), x.shape[2] // 4, []
    for half, step in ((0, 1), (1, -1)):
        own = x[:, :, 2 * half * quarter : 2 * (half + 1) * quarter]
        y = gates[:, :, half : half + 1] * own
        y, r = moved(y, step), own - y
        means = torch.stack([y.mean((3, 4)), r.mean((3, 4))], 1).transpose(2, 3)
        weight, bias = module.weigh.weight[half : half + 1], module.weigh.bias[half : half + 1]
        w = F.conv2d(means, weight, bias, padding=1).sigmoid()[:, 0].transpose(1, 2)[..., None, None]
        out = w * y + (1 - w) * r
        outs.append(torch.stack([out[:, :, :quarter], out[:, :, quarter:]], 3).flatten(2, 3))
    return torch.cat(outs, 2)


@pytest.mark.parametrize("gain", [1.0, 4.0, 12.0])
def test_gsf_in_bfloat16_rounds_no_worse_than_its_definition(gain):
    """Of the largest gradient to the input, both are off by a percent, and by several where weights are large."""
    module = GSF(16, 8, 1.0)
    with torch.no_grad():
        for weight in (module.gate.weight, module.weigh.weight):
            weight.mul_(gain)
    exact = copy.deepcopy(module).double()
    x, upstream = (torch.randn(2, 8, 16, 8, 8).bfloat16() for _ in range(2))

    def gradient(function, dtype):
        given = x.to(dtype).requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
            out = function(given)
        out.backward(upstream.to(out.dtype))
        return given.grad.double()

    def folded(one):
        return lambda given: one(given.flatten(0, 1)).unflatten(0, (2, 8))

    wanted = gradient(lambda given: gsf_in_whole_tensors(exact, given), torch.float64)
    torch.testing.assert_close(gradient(folded(exact), torch.float64), wanted)
    ours, published = (
        float((gradient(function, torch.bfloat16) - wanted).abs().max() / wanted.abs().max())
        for function in (folded(module), lambda given: gsf_in_whole_tensors(module, given))
    )
    assert ours < 0.05
    assert ours < 2 * published


def test_gsf_gradient_can_be_taken_twice_from_one_graph():
    module = randomize(GSF(8, 2, 1.0))
    x = videos_like(1, 2, 8).flatten(0, 1).requires_grad_()
    out = module(x).square().sum()
    first = torch.autograd.grad(out, [x, *module.parameters()], retain_graph=True)
    second = torch.autograd.grad(out, [x, *module.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    ("make", "channels"),
    [(lambda: TSM(4, 2, 4), 4), (lambda: GSM(4, 2), 4), (lambda: GSF(4, 2, 1.0), 4), (lambda: GSF(16, 2, 0.25), 16)],
)
def test_input_and_gradient_stay_as_they_were(make, channels, memory_format):
    x, grad = (videos_like(2, 2, channels).flatten(0, 1).contiguous(memory_format=memory_format) for _ in range(2))
    leaf = x.clone().requires_grad_()
    before = leaf.detach().clone(), grad.clone()
    randomize(make())(leaf).backward(grad)
    assert torch.equal(leaf.detach(), before[0])
    assert torch.equal(grad, before[1])


@pytest.mark.parametrize("frames", FRAMES)
@pytest.mark.parametrize(("alpha", "beta", "stride"), [(4, 2, 1), (4, 1, 2), (2, 2, 2), (8, 1, 1)])
def test_gst(frames, alpha, beta, stride):
    conv = nn.Conv2d(6, 8, 3, stride, padding=1, bias=False)
    module = randomize(GST(conv, frames, alpha, beta))
    temporal = 8 // alpha

    def definition(x):
        x = x.transpose(1, 2)
        first, second = (x[:, :3], x[:, 3:]) if beta == 2 else (x, x)
        steps = (1, stride, stride)
        weight = module.temporal.weight.view(3, temporal, -1, 3, 3).permute(1, 2, 0, 3, 4)
        parts = [
            F.conv3d(first, module.spatial.weight.unsqueeze(2), stride=steps, padding=(0, 1, 1)),
            F.conv3d(second, weight, stride=steps, padding=1),
        ]
        return torch.cat(parts, dim=1).transpose(1, 2)

    agrees(module, definition, videos_like(2, frames, 6))


def test_gst_starts_from_the_convolution_it_replaces():
    conv = nn.Conv2d(6, 8, 3, padding=1, bias=False)
    assert torch.equal(GST(conv, 2, 4, 2).spatial.weight, conv.weight[:6, :3])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TSM(4, 2), "fold_div 8 with 4 channels"),
        (lambda: TSM(4, 2, fold_div=1), "fold_div 1"),
        (lambda: GSM(6, 2), "6 channels"),
        (lambda: GSF(8, 2, 0.1), "ratio 0.1 of 8 channels"),
        (lambda: GSF(8, 2, 1.5), "ratio 1.5"),
        (lambda: GSF(6, 2, 1.0), "ratio 1.0 of 6 channels"),
        (lambda: GST(nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), 2), "groups=8"),
        (lambda: GST(nn.Conv2d(8, 8, 1, bias=False), 2), "ungrouped 3x3"),
        (lambda: GST(nn.Conv2d(8, 6, 3, padding=1, bias=False), 2), "alpha 4, beta 2 for 8 -> 6"),
        (lambda: TSM(8, 3)(torch.zeros(4, 8, 2, 2)), r"\(4, 8, 2, 2\).*T = 3"),
    ],
)
def test_refusals(make, message):
    with pytest.raises(DasError, match=message):
        make()
