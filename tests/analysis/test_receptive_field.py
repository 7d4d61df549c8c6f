import numpy as np
import pytest
import torch

from das.analysis.receptive_field import Trained, areas, compare, effective, single_operations, theoretical
from das.analysis.receptive_field_figure import figure
from das.errors import DasError
from das.models import video_model
from das.study.schema import Architecture
from das.tasks import model as make_model
from das.video.policy import Choice, Edge, Policy
from das.video.transform import ImageToVideo


def shifted(frames=3):
    """Frames moved by 0 and by 4 of 32 pixels to the right (mirrored: 1, 0, 1)."""
    return Policy(frames=frames, nodes=((Edge("image", (Choice("translate_x", (0.125,)),)),),))


def box(field):
    rows, columns = np.flatnonzero(field.any(1)), np.flatnonzero(field.any(0))
    return rows[0], rows[-1], columns[0], columns[-1]


def closed_form(layers):
    """Side of the field of stacked convolutions (kernel, stride)."""
    side, jump = 1, 1
    for kernel, stride in layers:
        side, jump = side + (kernel - 1) * jump, jump * stride
    return side


def test_theoretical_field_of_a_residual_network():
    model = video_model("resnet8", 10, 1, in_channels=1)
    side = closed_form([(3, 2), (3, 1), (3, 1), (3, 2), (3, 1), (3, 2), (3, 1)])
    field = theoretical(model, (96, 96))
    top, bottom, left, right = box(field)
    assert (bottom - top + 1, right - left + 1) == (side, side)
    assert field[top : bottom + 1, left : right + 1].all()


def test_theoretical_field_passes_maximum_pooling():
    model = video_model("resnet18", 10, 1)
    layers = [(7, 2), (3, 2)] + [(3, 1)] * 4 + ([(3, 2)] + [(3, 1)] * 3) * 3
    side = closed_form(layers)
    top, bottom, _, _ = box(theoretical(model, (480, 32)))
    assert bottom - top + 1 == side == 435


def test_the_image_to_video_step_moves_the_field():
    one = box(theoretical(video_model("resnet8", 10, 1), (96, 96)))
    moved = Policy(frames=3, nodes=((Edge("image", (Choice("translate_x", (1 / 24,)),)),),))  # 4 of 96 pixels
    model = video_model("resnet8", 10, 3, fusion="tsm")
    assert box(theoretical(model, (96, 96), moved)) == (one[0], one[1], one[2] - 4, one[3])


def test_effective_field_by_finite_differences():
    torch.manual_seed(0)
    model = video_model("resnet8", 10, 3, fusion="tsm", backbone_options={"width": 8}).double().eval()
    images = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    outputs = []
    model.network.layer3.register_forward_hook(lambda module, args, out: outputs.append(out[:, :, 2, 2].sum().item()))
    field = effective(model, images, shifted())
    for y, x in ((16, 16), (20, 9), (10, 18)):
        expected = 0
        for channel in range(3):
            step = torch.zeros_like(images)
            step[0, channel, y, x] = 1e-6
            with torch.no_grad():
                model(ImageToVideo(shifted())(images + step))
                model(ImageToVideo(shifted())(images - step))
            expected += abs(outputs[-2] - outputs[-1]) / 2e-6
        assert field[y, x] == pytest.approx(expected, rel=1e-4, abs=1e-8)


def test_rectified_keeps_the_positive_part():
    torch.manual_seed(0)
    model, images = video_model("resnet8", 10, 1, in_channels=1), torch.rand(1, 1, 32, 32)
    absolute, positive = effective(model, images), effective(model, images, rectified=True)
    kept = positive > 0
    assert 0 < kept.mean() < (absolute > 0).mean()
    np.testing.assert_allclose(positive[kept], absolute[kept])


def test_areas_by_hand():
    field = np.zeros((8, 8))
    field[4, 4], field[5, 5], field[1, 4], field[0, 0] = 2, 3, 4, 1
    table = areas(field, (0.2, 0.3, 0.5, 0.9, 1.0))
    assert table.side.tolist() == [1, 3, 3, 7, 9]
    assert table.area.tolist() == [1 / 64, 9 / 64, 9 / 64, 49 / 64, 1]


def test_areas_of_nothing():
    with pytest.raises(DasError, match="zero everywhere"):
        areas(np.zeros((4, 4)))


def test_compare_and_figure():
    policies = {
        name: policy
        for name, policy in single_operations(3).items()
        if name != "zoom" and "rot" not in name and "_y" not in name
    }
    fields = compare("resnet8", torch.rand(2, 1, 32, 32), policies, networks=2)
    assert list(fields) == ["one frame", "3 identical frames", "translate_x"]
    again = compare("resnet8", torch.rand(2, 1, 32, 32), {}, networks=1)
    assert again["one frame"][0].shape == (32, 32)
    trained = {"3 identical frames": np.eye(32)}
    chart = figure(fields, trained=trained)
    assert [axis.get_title() for axis in chart.axes[:3]] == ["one frame", "3 identical frames", "horizontal shift"]
    shares = [effect / effect.sum() for effect, _ in fields.values()]
    for axis, share in zip(chart.axes[4:6], shares[1:], strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), 100 * (share - shares[0]))
    assert [len(axis.images) for axis in chart.axes[6:9]] == [0, 1, 0]
    np.testing.assert_allclose(chart.axes[7].images[0].get_array().diagonal(), 1)  # as bright as the strongest
    *_, differences = (axis for axis in chart.axes if axis.get_label() == "<colorbar>")
    low, middle, high = (text.get_text() for text in differences.get_yticklabels())
    assert middle == "0"
    limit = np.quantile(np.abs([100 * (share - shares[0]) for share in shares[1:]]), 0.995)
    assert float(high) == -float(low.replace("\N{MINUS SIGN}", "-")) == pytest.approx(limit, rel=0.05)


def test_trained_networks_are_read_with_their_own_normalization():
    """The influence of a pixel is that of the normalized pixel over the standard deviation."""
    model = make_model(Architecture(network="resnet8"), Policy.replicate(1), ["a", "b"], [0.2] * 3, [0.25] * 3).eval()
    images = torch.rand(2, 3, 32, 32)
    expected = effective(model.network, (images - 0.2) / 0.25) / 0.25
    np.testing.assert_allclose(effective(Trained(model), images), expected, rtol=1e-3)
