import math

import pytest
import torch

from das.errors import DasError
from das.models.consensus import build_consensus
from das.study.registry import names

LOGITS = torch.tensor([[[1.0, -2.0, 0.5], [0.0, 3.0, 1.0], [2.0, 2.0, -1.0], [0.3, 0.1, 0.0]]], dtype=torch.float64)


def fused(name):
    return build_consensus(name, 4).double()(LOGITS)[0]


def test_every_known_name_is_built():
    assert {fused(name).shape for name in names("consensus")} == {(3,)}


def test_mean_logits():
    assert fused("mean_logits").tolist() == pytest.approx(
        [sum(frame[k] for frame in LOGITS[0].tolist()) / 4 for k in range(3)]
    )


def test_mean_probabilities():
    def probabilities(logits):
        total = sum(math.exp(value) for value in logits)
        return [math.exp(value) / total for value in logits]

    frames = [probabilities(frame) for frame in LOGITS[0].tolist()]
    assert probabilities(fused("mean_probabilities").tolist()) == pytest.approx(
        [sum(frame[k] for frame in frames) / 4 for k in range(3)]
    )


def test_middle_frame():
    assert torch.equal(fused("middle_frame"), LOGITS[0, 2])


def test_learned_weights():
    consensus = build_consensus("learned_weights", 4).double()
    torch.testing.assert_close(consensus(LOGITS), LOGITS.mean(1))
    with torch.no_grad():
        consensus.scores.copy_(torch.tensor([0.0, 50.0, 0.0, 0.0]))
    torch.testing.assert_close(consensus(LOGITS), LOGITS[:, 1])
    with pytest.raises(DasError, match="4 frame weights cannot fuse 3 frames"):
        consensus(LOGITS[:, :3])


def test_unknown():
    with pytest.raises(DasError, match="'max' is unknown; should be one of mean_logits"):
        build_consensus("max", 4)
