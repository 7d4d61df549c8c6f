import pytest
import torch
from torch import nn

from das.errors import DasError
from das.models import video_model
from das.models.attention import CBAM
from das.models.backbones import build_backbone
from das.models.ghostnet import GhostModule
from das.models.heads import SpatialPyramidPooling
from das.models.places import default_places
from das.study.registry import entries, lookup


def build(name, in_channels=3, *, pretrained=False, **options):
    return build_backbone(name, in_channels, pretrained=pretrained, options=options)


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_every_name_can_be_built_and_has_places():
    from torchvision.models import list_models

    known = [entry for entry in entries("network") if entry.name != "timm:*"]
    assert {entry.facts["member"] for entry in known if "member" in entry.facts} <= set(list_models())
    for name in (entry.name for entry in known):
        if name.startswith("regnet") and not name.endswith("400mf"):
            continue  # the same module with other sizes, and torchvision cannot lay it out without memory
        with torch.device("cpu" if name.startswith("regnet") else "meta"):
            network = build(name)
        assert default_places(network, lookup("fusion", "tsm"))
        assert default_places(network, lookup("fusion", "gsf"))


@pytest.mark.parametrize(
    ("name", "millions"),  # He et al. 2016 (ResNet-20); Zagoruyko and Komodakis 2016; Han et al. 2020, table 6
    [("resnet20", 0.27), ("wide_resnet40_2", 2.2), ("wide_resnet28_10", 36.5), ("ghostnet", 5.2)],
)
def test_published_sizes(name, millions):
    with torch.device("meta"):
        network = build(name)
    assert parameters(network) == pytest.approx(millions * 1e6, rel=0.02)


@pytest.mark.parametrize("name", ["resnet8", "resnet18_cifar", "wide_resnet40_2", "ghostnet", "mobilenet_v3_small"])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_a_forward_pass(name, in_channels):
    model = video_model(name, 5, 2, in_channels=in_channels).eval()
    assert model(torch.rand(1, 2, in_channels, 32, 32)).shape == (1, 5)


def test_cifar_form_keeps_the_resolution():
    network = build("resnet18_cifar").eval()
    sizes = []
    network.layer1.register_forward_hook(lambda module, args, out: sizes.append(out.shape))
    network(torch.rand(1, 3, 32, 32))
    assert sizes == [(1, 64, 32, 32)]


def test_options_of_the_small_networks():
    network = build("resnet8", 1, width=4, stem_stride=1)
    assert network.conv1.out_channels == 4
    assert network.conv1.stride == (1, 1)


def test_ghost_module_by_hand():
    module = GhostModule(3, 5, relu=True).eval()
    x = torch.randn(2, 3, 6, 6)
    primary = torch.relu(module.primary.norm(module.primary.conv(x)))
    kernel = module.cheap.conv.weight
    planes = [nn.functional.conv2d(primary[:, c : c + 1], kernel[c : c + 1], padding=1) for c in range(3)]
    cheap = torch.relu(module.cheap.norm(torch.cat(planes, dim=1)))
    torch.testing.assert_close(module(x), torch.cat([primary, cheap], dim=1)[:, :5])


def test_cbam_by_hand():
    module = CBAM(8, reduction=4).double()
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    nn.init.constant_(module.spatial[1].weight, 1.7)
    nn.init.constant_(module.spatial[1].bias, -0.2)
    first, _, second = module.channel
    scaled, maps = [], []
    for image in x:
        mean, most = torch.stack([p.mean() for p in image]), torch.stack([p.max() for p in image])
        scale = torch.sigmoid(second(torch.relu(first(mean))) + second(torch.relu(first(most))))
        image = torch.stack([p * s for p, s in zip(image, scale, strict=True)])
        scaled.append(image)
        maps.append(torch.stack([sum(image) / len(image), image.max(0).values]))
    places = nn.functional.conv2d(torch.stack(maps), module.spatial[0].weight, padding=3)
    normal = 1.7 * (places - places.mean()) / (places.var(unbiased=False) + 1e-5).sqrt() - 0.2
    torch.testing.assert_close(module(x), torch.stack(scaled) * torch.sigmoid(normal))
    torch.testing.assert_close(module.spatial[1].running_mean, 0.01 * places.mean().view(1))


def test_cbam_starts_with_half_of_every_place():
    """Its batch norm starts at weight 0, as in the authors' ResNets (Jongchan/attention-module, model_resnet.py)."""
    module, x = CBAM(8), torch.rand(2, 8, 5, 6)
    channels = (module.channel(x.mean((2, 3))) + module.channel(x.amax((2, 3)))).sigmoid()
    torch.testing.assert_close(module(x), x * channels[..., None, None] * 0.5)


def test_cbam_is_in_every_block():
    network = build("resnet50", attention="cbam")
    assert sum(isinstance(module, CBAM) for module in network.modules()) == 16
    assert isinstance(network.layer3[2].bn3.cbam, CBAM)


def test_spp_by_hand():
    x = torch.randn(2, 3, 7, 9)
    ours = SpatialPyramidPooling()(x)[..., 0, 0]
    expected = []
    for side in (1, 2, 4):
        for c in range(3):
            for i in range(side):
                for j in range(side):
                    rows = slice(i * 7 // side, -(-(i + 1) * 7 // side))
                    columns = slice(j * 9 // side, -(-(j + 1) * 9 // side))
                    expected.append(x[:, c, rows, columns].amax((1, 2)))
    assert torch.equal(ours, torch.stack(expected, dim=1))


def test_spp_reads_images_of_any_size():
    model = video_model("resnet8", 5, 1, backbone_options={"pooling": "spp"})
    assert [model(torch.rand(2, 1, 3, side, side)).shape for side in (32, 45)] == [(2, 5), (2, 5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet19"}, "'resnet19' is unknown; should be one of resnet8"),
        (
            {"name": "resnet8", "depth": 3},
            "resnet8.depth: unknown option; allowed here: width, stem_stride, attention",
        ),
        ({"name": "resnet18", "width": 3}, "resnet18.width: unknown option; allowed here: attention, pooling"),
        ({"name": "resnet8", "attention": "se"}, "attention: is 'se'; should be 'cbam'"),
        ({"name": "resnet8", "pooling": "max"}, "pooling: is 'max'; should be 'spp'"),
        ({"name": "mobilenet_v2", "attention": "cbam"}, "MobileNetV2 has no residual blocks"),
        ({"name": "wide_resnet40_2", "attention": "cbam"}, "WideResNet has no residual blocks that end in a norm"),
        ({"name": "mobilenet_v3_small", "pooling": "spp"}, "MobileNetV3 does not end"),
        ({"name": "resnet8", "pretrained": True}, "resnet8 has no ImageNet weights"),
        ({"name": "resnet18_cifar", "pretrained": True}, "resnet18_cifar has no ImageNet weights"),
        ({"name": "resnet18", "in_channels": 1, "pretrained": True}, "read 3 channels; in_channels is 1"),
    ],
)
def test_refusals(arguments, message):
    with pytest.raises(DasError, match=message), torch.device("meta"):
        build(**arguments)


def test_weights_that_cannot_be_fetched(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise ConnectionRefusedError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(DasError, match=r"weights of resnet18 could not be fetched \(no network\)"):
        build("resnet18", pretrained=True)


def test_pretrained_weights_are_used(monkeypatch, tmp_path):
    from torchvision.models import ResNet18_Weights, resnet18

    weights = resnet18().state_dict()
    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", lambda self, *args, **kwargs: weights)
    model = video_model("resnet18", 5, 2, fusion="tsm", pretrained=True)
    assert torch.equal(model.network.layer1[0].conv1.conv.weight, weights["layer1.0.conv1.weight"])
