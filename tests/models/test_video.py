import subprocess
import sys

import pytest
import torch

from das.errors import DasError
from das.models import video_model


def test_without_fusion_each_frame_is_read_alone():
    model = video_model("resnet8", 7, 3, in_channels=1).eval()
    videos = torch.rand(2, 3, 1, 28, 28)
    logits = model.frame_logits(videos)
    for b in range(2):
        for t in range(3):
            torch.testing.assert_close(logits[b, t], model.network(videos[b, t : t + 1])[0])
    torch.testing.assert_close(model(videos), logits.mean(1))


def test_shift_lets_a_frame_see_its_neighbors_only_within_its_video():
    model = video_model("resnet8", 7, 4, fusion="tsm", places=["layer1.0.conv1"]).eval()
    videos = torch.rand(2, 4, 3, 32, 32)
    changed = videos.clone()
    changed[0, 3] = 0
    moved = (model.frame_logits(videos) - model.frame_logits(changed)).abs().amax(2) > 0
    assert moved.tolist() == [[False, False, True, True], [False, False, False, False]]


def test_test_time_augmentation_of_a_single_frame_model():
    model = video_model("resnet8", 7, 1).eval()
    videos = torch.rand(2, 5, 3, 32, 32)
    frames = torch.stack([model(videos[:, t : t + 1]) for t in range(5)])
    torch.testing.assert_close(model(videos, frames=5), frames.mean(0))


def test_a_model_with_fusion_reads_another_number_of_frames_and_returns_to_its_own():
    model = video_model("resnet8", 7, 4, fusion="tsm").eval()
    other = video_model("resnet8", 7, 2, fusion="tsm").eval()
    other.load_state_dict(model.state_dict())
    videos = torch.rand(2, 4, 3, 32, 32)
    before = model(videos)
    assert torch.equal(model(videos[:, :2], frames=2), other(videos[:, :2]))
    assert torch.equal(model(videos), before)


@pytest.mark.parametrize("shape", [(2, 5, 3, 32, 32), (2, 4, 1, 32, 32), (8, 3, 32, 32), (2, 4, 3, 0, 32)])
def test_refuses_other_shapes(shape):
    with pytest.raises(DasError, match=r"T = 4 and C = 3") as error:
        video_model("resnet8", 7, 4)(torch.zeros(shape))
    assert str(shape) in str(error.value)


def test_refuses_integers():
    with pytest.raises(DasError, match=r"videos of torch.uint8; it reads floating-point"):
        video_model("resnet8", 7, 1)(torch.zeros(2, 1, 3, 32, 32, dtype=torch.uint8))


def test_the_smallest_images_are_read_and_a_single_one_cannot_train():
    for name in ("resnet8", "resnet18_cifar", "mobilenet_v2", "ghostnet"):
        model = video_model(name, 7, 2, fusion="gsf")
        assert model(torch.rand(1, 2, 3, 1, 1)).shape == (1, 7)
        with pytest.raises(DasError, match=r"shape \(1, 1, 3, 8, 8\).*one value per channel"):
            model(torch.rand(1, 1, 3, 8, 8), frames=1)
        assert model.eval()(torch.rand(1, 1, 3, 8, 8), frames=1).shape == (1, 7)


@pytest.mark.parametrize(("arguments", "message"), [({"frames": 0}, "frames: 0"), ({"dropout": 1.0}, "dropout: 1.0")])
def test_refuses_impossible_values(arguments, message):
    with pytest.raises(DasError, match=message):
        video_model(**{"network": "resnet8", "num_classes": 7, "frames": 1, **arguments})


def test_dropout_is_before_the_classifier_and_the_only_one():
    for name in ("resnet8", "mobilenet_v2"):
        model = video_model(name, 2000, 1, dropout=0.5)
        seen = []
        classifier = [m for m in model.modules() if isinstance(m, torch.nn.Linear)][-1]
        classifier.weight.data.fill_(0).view(-1)[:: classifier.in_features + 1] = 1  # each output reads one feature
        classifier.register_forward_hook(lambda module, args, out, seen=seen: seen.append((args[0], out - module.bias)))
        model(torch.rand(2, 1, 3, 32, 32) + 1)
        (features, out), width = seen[0], classifier.in_features
        kept = out[:, :width] != 0
        assert torch.allclose(out[:, :width][kept], 2 * features[kept], atol=1e-4)
        assert 0.4 < kept[features.abs() > 1e-3].float().mean() < 0.6
        assert video_model(name, 7, 1).state_dict().keys() == model.state_dict().keys()


def test_same_seed_same_weights():
    def weights():
        torch.manual_seed(3)
        return video_model("resnet8", 7, 4, fusion="gsf", fusion_options={"ratio": 1.0}).state_dict()

    first, second = weights(), weights()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_names_cost_no_torch_and_small_networks_no_torchvision():
    names = (
        "import sys, das.models; from das.study.registry import names; names('head'); assert 'torch' not in sys.modules"
    )
    small = "import sys; from das.models import video_model; video_model('resnet8', 2, 2, fusion='tsm')"
    for code in (names, small + "; assert 'torchvision' not in sys.modules"):
        subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("fusion", ["tsm", "gsm", "gsf", "gst"])
def test_cuda_agrees_with_cpu(fusion):
    model = video_model("resnet20", 7, 4, fusion=fusion).double()
    videos = torch.rand(2, 4, 3, 32, 32, dtype=torch.float64)
    loss = model(videos).square().sum()
    loss.backward()
    expected = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    model.cuda()(videos.cuda()).square().sum().backward()
    for theirs, ours in zip(expected, model.parameters(), strict=True):
        torch.testing.assert_close(ours.grad.cpu(), theirs)
