import pytest
import torch

from das.analysis.profile import flops, peak_memory, profile
from das.models import video_model


def test_table():
    table = profile(["resnet8"], ["tsm", "gsf"], [2, 4], batch=2, repetitions=1).set_index(["fusion", "T"])
    assert list(table.index) == [("none", 1), ("none", 2), ("none", 4), ("tsm", 2), ("tsm", 4), ("gsf", 2), ("gsf", 4)]
    assert table.parameters["tsm", 4] == table.parameters["none", 1] < table.parameters["gsf", 4]
    assert table.gflops["none", 4] == pytest.approx(4 * table.gflops["none", 1])
    assert table.gflops["tsm", 4] == table.gflops["none", 4]
    seconds = table.step_ms / 1e3
    assert table.frames_per_s["gsf", 4] == pytest.approx(2 * 4 / seconds["gsf", 4])
    assert table.time_vs_1["tsm", 2] == pytest.approx(seconds["tsm", 2] / seconds["none", 1])
    assert table.time_vs_T["tsm", 2] == pytest.approx(seconds["tsm", 2] / seconds["none", 2])
    assert table.peak_mib["none", 4] > 1.5 * table.peak_mib["none", 2]


def test_flops_by_hand():
    model = video_model("resnet8", 10, 1, in_channels=1)
    side = 14  # 28x28 after the stem's stride
    convolutions = [(1, 16, 3, side), (16, 16, 3, side), (16, 16, 3, side)]
    for width, out in ((16, 7), (32, 4)):
        convolutions += [(width, 2 * width, 3, out), (2 * width, 2 * width, 3, out), (width, 2 * width, 1, out)]
    expected = sum(2 * i * o * k * k * s * s for i, o, k, s in convolutions) + 2 * 64 * 10
    assert flops(model, torch.rand(1, 1, 1, 28, 28)) == expected


def test_peak_memory_by_hand():
    def call():
        a = torch.ones(1 << 20)
        b = a * 2
        del a
        return b + 1

    assert peak_memory(call) == pytest.approx(8 << 20, rel=0.01)
