"""Dilated and large-kernel backbones: the blocks stay what they are; weights, operations and reach follow."""

import pytest
import torch
from torch import nn

from das.analysis.costs import equal_width
from das.analysis.profile import flops
from das.analysis.receptive_field import theoretical
from das.errors import DasError
from das.models import video_model
from das.models.reach import dilate, enlarge_kernels


def made(field, network="resnet8"):
    torch.manual_seed(0)
    options = {"receptive_field": field} if field else {}
    return video_model(network, 10, 1, backbone_options=options).eval()


def convs(model):
    return {name: m for name, m in model.network.named_modules() if isinstance(m, nn.Conv2d)}


def test_dilated_stages_lose_their_stride_and_keep_their_weights():
    plain, dilated = convs(made(None)), convs(made("dilated"))
    assert {n: c.weight.shape for n, c in plain.items()} == {n: c.weight.shape for n, c in dilated.items()}
    for name, conv in dilated.items():
        dilation = {"layer2": 2, "layer3": 4}.get(name.split(".")[0], 1)
        assert conv.dilation == ((dilation, dilation) if conv.kernel_size == (3, 3) else (1, 1))
        assert conv.stride == ((1, 1) if dilation > 1 or "layer1" in name else plain[name].stride)
    maps = []
    made_now = made("dilated")
    made_now.network.layer3.register_forward_hook(lambda *a: maps.append(a[2].shape[-1]))
    made_now(torch.rand(1, 1, 3, 32, 32))
    assert maps == [16], "only the stem's stride is left"


def test_large_kernels_stand_for_every_3x3_of_the_branches():
    plain, large = convs(made(None)), convs(made("large_kernels"))
    for name, conv in plain.items():
        if name.startswith("layer") and conv.kernel_size == (3, 3):
            assert (large[name].kernel_size, large[name].padding) == ((5, 5), (2, 2))
            assert (large[name].stride, large[name].bias) == (conv.stride, None)
            deviation = (2 / (large[name].out_channels * 25)) ** 0.5  # He et al., fan out
            assert float(large[name].weight.detach().std()) == pytest.approx(deviation, rel=0.1)
        else:
            assert large[name].weight.shape == conv.weight.shape


@pytest.mark.parametrize("field", ["dilated", "large_kernels"])
def test_they_see_farther_at_the_operations_that_are_counted(field):
    plain, other = made(None), made(field)
    assert theoretical(other, (64, 64)).sum() > theoretical(plain, (64, 64)).sum()
    pixels = torch.rand(1, 1, 3, 32, 32)
    expected = 2 * other.network.fc.weight.numel()
    side = {}
    for name, conv in convs(other).items():
        conv.register_forward_hook(lambda m, i, o, name=name: side.update({name: o.shape[-1]}))
    other(pixels)
    for name, conv in convs(other).items():
        expected += 2 * side[name] ** 2 * conv.weight.numel()
    assert flops(other, pixels) == expected


def test_bottlenecks_keep_their_1x1(tmp_path):
    plain, large = convs(made(None, "resnet50_cifar")), convs(made("large_kernels", "resnet50_cifar"))
    for name, conv in plain.items():
        expected = (5, 5) if "conv2" in name else conv.kernel_size
        assert large[name].kernel_size == expected


def test_networks_without_stages_are_refused():
    for change in (dilate, enlarge_kernels):
        with pytest.raises(DasError, match="Sequential has no"):
            change(nn.Sequential(nn.Conv2d(3, 3, 3), nn.Flatten(), nn.LazyLinear(2)))


def test_the_width_of_equal_operations_is_the_nearest():
    width, ratio = equal_width("resnet8", {"width": 16}, 4, (1, 28, 28))

    def counted(w):
        return flops(
            video_model("resnet8", 10, 1, in_channels=1, backbone_options={"width": w}), torch.rand(1, 1, 1, 28, 28)
        )

    target = 4 * counted(16)
    assert ratio == counted(width) / target
    assert all(abs(counted(width) - target) <= abs(counted(w) - target) for w in (width - 2, width - 1, width + 1))
