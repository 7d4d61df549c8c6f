import subprocess
import sys

import pytest
import torch
from torch.nn import functional as F

from das.errors import DasError
from das.models.segmentation import FCN, pooled, segmenter
from das.study.registry import names

HEADS, FUSIONS = names("head"), names("fusion")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_head_with_every_fusion_gives_every_frame_a_map(head, fusion):
    model = segmenter(
        "resnet20", head, 5, 4, fusion=fusion, output_stride=8, backbone_options={"width": 8, "stem_stride": 2}
    )
    videos = torch.rand(2, 4, 3, 32, 32)
    logits, auxiliary = model(videos)
    assert logits.shape[:3] == auxiliary.shape[:3] == (2, 4, 5)
    assert logits.shape[3:] == (4, 4)  # LR-ASPP's finer features have stride 8, too
    assert auxiliary.shape[3:] == (8, 8)
    (tested,) = model.eval()(videos)
    assert tested.shape == logits.shape
    assert bool(model.places) == (fusion != "none")


def test_without_fusion_each_frame_is_read_alone():
    model = segmenter("resnet8", "pspnet", 5, 3).eval()
    videos = torch.rand(2, 3, 3, 32, 32)
    (logits,) = model(videos)
    for b in range(2):
        for t in range(3):
            torch.testing.assert_close(logits[b, t], model.network(videos[b, t : t + 1])[0][0], atol=1e-5, rtol=1e-5)


def test_a_single_frame_network_reads_any_number_of_frames():
    model = segmenter("resnet8", "fcn", 5, 1).eval()
    videos = torch.rand(1, 4, 3, 32, 32)
    assert model(videos, 4)[0].shape[:2] == (1, 4)
    with pytest.raises(DasError, match=r"T = 1 and C = 3"):
        model(videos)


@pytest.mark.parametrize(("output_stride", "dilated"), [(8, [False, True, True]), (16, [False, False, True])])
def test_dilation_is_torchvisions(output_stride, dilated):
    from torchvision.models import resnet50

    def geometry(network):
        convs = ((name, m) for name, m in network.named_modules() if isinstance(m, torch.nn.Conv2d))
        return [(name, m.stride, m.dilation, m.padding) for name, m in convs]

    ours = segmenter("resnet50", "fcn", 5, 1, output_stride=output_stride).network.body
    assert geometry(ours) == geometry(resnet50(replace_stride_with_dilation=dilated))


def test_dilation_keeps_what_every_weight_computes():
    """A dilated network at full resolution holds the strided one's outputs at every other place."""
    torch.manual_seed(0)
    strided = segmenter("resnet8", "fcn", 5, 1, output_stride=8, backbone_options={"stem_stride": 2}).eval()
    dilated = segmenter("resnet8", "fcn", 5, 1, output_stride=4, backbone_options={"stem_stride": 2}).eval()
    dilated.load_state_dict(strided.state_dict())
    images = torch.rand(1, 3, 64, 64)
    coarse, fine = strided.network.body(images)[2], dilated.network.body(images)[2]
    torch.testing.assert_close(fine[..., ::2, ::2], coarse, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0"])
def test_torchvisions_backbones_keep_the_output_stride(name):
    model = segmenter(name, "lraspp", 3, 2, fusion="tsm", output_stride=16).eval()
    low, before, last = model.network.body(torch.rand(2, 3, 64, 64))
    assert last.shape[-1] == 4
    assert low.shape[-1] == 8
    assert before.shape[1] == model.network.body.auxiliary_channels


def test_our_fcn_head_is_torchvisions():
    from torchvision.models.segmentation.fcn import FCNHead

    ours, theirs = FCN(32, 5, 0.1).eval(), FCNHead(32, 5).eval()
    ours.load_state_dict(theirs.state_dict())
    features = torch.rand(2, 32, 7, 7)
    torch.testing.assert_close(ours(features), theirs(features))


@pytest.mark.parametrize("size", [(6, 6), (8, 12), (7, 5), (2, 3)])
def test_pyramid_pooling_is_adaptive_average_pooling(size):
    features = torch.rand(2, 4, *size, dtype=torch.float64)
    for cells in (1, 2, 3, 6):
        torch.testing.assert_close(pooled(features, cells), F.adaptive_avg_pool2d(features, cells))


def test_pspnet_has_the_published_widths():
    """ResNet-50: 2048 features, four levels of 512 beside them, 512 before the classes (Zhao et al. 2017)."""
    head = segmenter("resnet50", "pspnet", 21, 1).network.head
    assert [level[0].weight.shape for level in head.levels] == [(512, 2048, 1, 1)] * 4
    assert head.bottleneck[0].weight.shape == (512, 4096, 3, 3)
    assert head.classifier[1].weight.shape == (21, 512, 1, 1)


def test_pspnet_can_be_its_authors():
    """hszhao/semseg, model/pspnet.py: where its convolutions read, its stem, its dropout, how its pyramid is spread."""
    options = {"align_corners": True, "whole_channels": True}
    settings = {"dilation": "even", "backbone_options": {"stem": "deep"}, "head_options": options}
    network = segmenter("resnet50", "pspnet", 21, 1, **settings).network
    body, head = network.body, network.head
    for stage, dilation in (("layer1", 1), ("layer2", 1), ("layer3", 2), ("layer4", 4)):
        convs = [c for c in body.get_submodule(stage).modules() if getattr(c, "kernel_size", 0) == (3, 3)]
        assert {c.dilation[0] for c in convs} == {c.padding[0] for c in convs} == {dilation}
    stem = [m for m in [*body.conv1, body.bn1] if not isinstance(m, torch.nn.ReLU)]
    shapes = [(m.in_channels, m.out_channels, m.stride[0]) for m in stem if isinstance(m, torch.nn.Conv2d)]
    assert shapes == [(3, 64, 2), (64, 64, 1), (64, 128, 1)]
    for part in (head, network.auxiliary):
        drops = [type(m) for m in part.modules() if "Dropout" in type(m).__name__]
        assert drops == [torch.nn.Dropout2d]
    head.eval()
    x = torch.rand(1, 2048, 9, 9)
    levels = [level(F.adaptive_avg_pool2d(x, cells)) for level, cells in zip(head.levels, (1, 2, 3, 6), strict=True)]
    spread = [F.interpolate(level, (9, 9), mode="bilinear", align_corners=True) for level in levels]
    torch.testing.assert_close(head(x), head.classifier(head.bottleneck(torch.cat([x, *spread], 1))))


def test_a_deep_stem_has_no_pretrained_weights():
    with pytest.raises(DasError, match=r"stem: is 'deep', but torchvision's weights of resnet50"):
        segmenter("resnet50", "pspnet", 21, 1, pretrained=True, backbone_options={"stem": "deep"})


def test_dropout_is_the_only_one():
    for head in ("pspnet", "fcn", "deeplabv3"):
        model = segmenter("resnet8", head, 5, 1, dropout=0.25)
        rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
        assert rates == {0.25}


def test_bad_names_and_networks_are_refused():
    with pytest.raises(DasError, match=r"'unet' is unknown; should be one of pspnet"):
        segmenter("resnet8", "unet", 5, 1)
    with pytest.raises(DasError, match=r"'resnet9' is unknown"):
        segmenter("resnet9", "fcn", 5, 1)
    with pytest.raises(DasError, match=r"no chain of stages"):
        segmenter("regnet_x_400mf", "fcn", 5, 1)


def test_the_quickstarts_network_costs_no_torchvision_import():
    code = (
        "import sys; from das.models.segmentation import segmenter; segmenter('resnet8', 'pspnet', 5, 4, fusion='tsm');"
        "sys.exit('torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("head", HEADS)
def test_training_is_deterministic_on_cuda(head):
    from das.engine.device import prepare
    from das.study.schema import Compute

    prepare(Compute(device="cuda"))
    gradients = []
    for _ in range(2):
        torch.manual_seed(0)
        model = segmenter("resnet8", head, 5, 4, fusion="tsm", dropout=0.0).cuda()
        videos = torch.rand(2, 4, 3, 64, 64, generator=torch.Generator().manual_seed(1)).cuda()
        sum(output.square().mean() for output in model(videos)).backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    assert all(map(torch.equal, *gradients))
