from collections import OrderedDict

import pytest
import torch
from torch import nn

from das.errors import DasError
from das.models import video_model
from das.models.backbones import build_backbone
from das.models.fusion import GSF, TSM
from das.models.places import default_places, insert_fusion
from das.study.registry import lookup


def places(name, fusion):
    with torch.device("meta"):
        return default_places(build_backbone(name, 3, pretrained=False, options={}), lookup("fusion", fusion))


def blocks(stages):
    return [f"layer{s}.{b}" for s, count in enumerate(stages, 1) for b in range(count)]


def test_residual_families():
    assert places("resnet50", "tsm") == [f"{b}.conv1" for b in blocks([3, 4, 6, 3])]
    assert places("resnet50", "gsf") == [f"{b}.conv3" for b in blocks([3, 4, 6, 3])]
    assert places("resnet50", "gst") == [f"{b}.conv2" for b in blocks([3, 4, 6, 3])]
    assert places("resnet18", "gsm") == [f"{b}.conv2" for b in blocks([2, 2, 2, 2])]
    assert places("wide_resnet40_2", "gsf") == [f"{b}.conv2" for b in blocks([6, 6, 6])]


def test_tsm_takes_every_second_block_of_deep_networks():
    even = [b for b in blocks([3, 4, 23, 3]) if int(b.split(".")[1]) % 2 == 0]
    assert places("resnet101", "tsm") == [f"{b}.conv1" for b in even]
    assert len(places("resnet101", "gsf")) == 33


def test_inverted_residuals_have_places_where_there_is_a_shortcut():
    shortcuts = [3, 5, 6, 8, 9, 10, 12, 13, 15, 16]  # MobileNetV2, table 2: repeats of a stage after its first block
    assert places("mobilenet_v2", "tsm") == [f"features.{n}.conv.0.0" for n in shortcuts]
    assert places("mobilenet_v2", "gsf") == [f"features.{n}.conv.2" for n in shortcuts]
    assert places("mobilenet_v3_large", "gsf")[2] == "features.5.block.3.0"  # past the squeeze-excitation


def test_inserted_modules_and_their_state():
    model = video_model("resnet8", 5, 2, fusion="gsf", fusion_options={"ratio": 1.0})
    assert model.places == ["layer1.0.conv2", "layer2.0.conv2", "layer3.0.conv2"]
    block = model.network.layer2[0]
    assert isinstance(block.conv2.gsf, GSF)
    assert block.conv2.gsf.channels == 32
    assert {"network.layer2.0.conv2.conv.weight", "network.layer2.0.conv2.gsf.gate.weight"} <= model.state_dict().keys()


def test_places_can_be_chosen():
    model = video_model("resnet8", 5, 2, fusion="tsm", places=["layer3.0.conv2"])
    assert model.places == ["layer3.0.conv2"]
    assert [name for name, m in model.network.named_modules() if isinstance(m, TSM)] == ["layer3.0.conv2.tsm"]


@pytest.mark.parametrize(
    "name", ["resnet50", "resnext50_32x4d", "mobilenet_v2", "mnasnet0_5", "regnet_y_400mf", "ghostnet"]
)
@pytest.mark.parametrize("fusion", ["tsm", "gsm", "gsf"])
def test_families_run_forward_and_backward(name, fusion):
    model = video_model(name, 3, 2, fusion=fusion)
    model(torch.rand(2, 2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("resnet10t", "layer1.0.conv1", "layer1.0.conv2"),
        ("convnext_atto", "stages.0.blocks.0.conv_dw", "stages.0.blocks.0.conv_dw"),
        ("efficientnet_b0", "blocks.1.1.conv_pw", "blocks.1.1.conv_pwl"),
        ("mobilenetv3_small_050", "blocks.1.1.conv_pw", "blocks.1.1.conv_pwl"),
        ("regnety_002", "s1.b1.conv1.conv", "s1.b1.conv3.conv"),
    ],
)
def test_families_of_timm_have_places_by_structure(name, first, last):
    for fusion, place in (("tsm", first), ("gsf", last)):
        model = video_model(f"timm:{name}", 3, 2, fusion=fusion)
        assert model.places[0] == place
        model(torch.rand(2, 2, 3, 32, 32)).sum().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_module_of_ones_own_becomes_a_video_model():
    own = build_backbone("resnet8", 3, pretrained=False, options={})
    model = video_model(own, 7, 2, fusion="tsm")
    assert model.network is own
    assert model.places == ["layer1.0.conv1", "layer2.0.conv1", "layer3.0.conv1"]
    assert model(torch.rand(2, 2, 3, 32, 32)).shape == (2, 7)


def test_gst_runs_forward_and_backward():
    model = video_model("resnet20", 3, 2, fusion="gst")
    model(torch.rand(2, 2, 3, 32, 32)).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fusion": "lstm"}, "'lstm' is unknown; should be one of none, tsm"),
        ({"fusion": "none", "fusion_options": {"ratio": 1.0}}, "none.ratio: unknown option; allowed here: none"),
        ({"fusion": "gsf", "fusion_options": {"rate": 1.0}}, "gsf.rate: unknown option; allowed here: ratio"),
        (
            {"fusion": "tsm", "places": ["layer9.conv"]},
            "'layer9.conv' is no 2D convolution of SmallResNet; it has conv1",
        ),
        ({"fusion": "tsm", "places": ["conv1"]}, "conv1: tsm: fold_div 8 with 3 channels"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(DasError, match=message):
        video_model("resnet8", 5, 2, **arguments)


def test_a_network_without_a_place():
    plain = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 8, 3)))
    with pytest.raises(DasError, match="Sequential has no place for it; looked for residual blocks"):
        insert_fusion(plain, "tsm", 2, {})
    with pytest.raises(DasError, match="MobileNetV2 has no place for it; looked for an ungrouped 3x3"):
        places("mobilenet_v2", "gst")
