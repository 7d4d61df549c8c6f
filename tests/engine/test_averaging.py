"""Learned test-time averaging and ensembles, against closed cases and averages by hand."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from das.data.batches import Batches
from das.data.sets import ImageSet
from das.engine.averaging import best, fitted, weighted
from das.engine.evaluate import evaluate
from das.errors import DasError
from das.study.schema import Architecture, Averaging, Compute
from das.tasks.classification import DasModel
from das.tasks.ensemble import Ensemble
from das.video.policy import Policy

SETTINGS = Averaging(learned_on="a")


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_average_is_the_definitions():
    logits = torch.rand(2, 3, 4, generator=draws())
    frames, classes = torch.tensor([0.5, 0.0, 1.5]), torch.rand(3, 4, generator=draws(1))
    by_frame, by_class = weighted(logits, frames), weighted(logits, classes)
    for image in range(2):
        for k in range(4):
            own = sum(float(frames[t]) * float(logits[image, t, k]) for t in range(3)) / 2.0
            assert float(by_frame[image, k]) == pytest.approx(own, abs=1e-6)
            own = sum(float(classes[t, k]) * float(logits[image, t, k]) for t in range(3))
            assert float(by_class[image, k]) == pytest.approx(own, abs=1e-6)


@pytest.mark.parametrize("shape", [(2,), (2, 3)])
def test_weights_are_those_of_plain_sgd_with_clamping(shape):
    """torch's own optimizer, in the same order of batches."""
    logits, labels = torch.randn(70, 2, 3, generator=draws()), torch.randint(3, (70,), generator=draws(1))
    found = fitted(SETTINGS, logits, labels, shape, 4, draws(2))
    weights, again = nn.Parameter(torch.full(shape, 0.5)), draws(2)
    sgd = torch.optim.SGD([weights], 0.01, 0.9, weight_decay=1e-4)
    for _ in range(4):
        for chunk in torch.randperm(70, generator=again).split(32):
            sgd.zero_grad()
            share = weights / weights.sum() if len(shape) == 1 else weights
            summed = (share.reshape(2, -1)[None] * logits[chunk]).sum(1)
            F.cross_entropy(summed, labels[chunk]).backward()
            sgd.step()
            weights.data.clamp_(min=0)
    assert torch.allclose(found, weights.detach(), atol=1e-6)


def test_a_frame_that_is_always_wrong_loses_its_weight():
    """A closed case: frame 0 knows the label, frame 1 claims the next class; only frame 0 should be left."""
    labels = torch.arange(300) % 3
    right = 2.0 * F.one_hot(labels, 3).float()
    wrong = 2.0 * F.one_hot((labels + 1) % 3, 3).float()
    settings = SETTINGS.model_copy(update={"epochs": (200, 200)})
    found = best(settings, (torch.stack([right, wrong], 1), labels), (torch.stack([right, wrong], 1), labels), draws())
    weights = found.weights
    assert weights.shape == (2,), "of equals, the one with fewer weights"
    assert float(weights[1] / weights.sum()) < 0.02
    assert found.accuracies == (1.0, 1.0)


def test_weights_for_classes_are_kept_where_they_are_more_accurate():
    """Frame 0 knows classes 0 and 1 apart from 2, frame 1 the rest; one weight a frame cannot say so."""
    labels = torch.arange(600) % 3
    noise = 3 * torch.randn(600, generator=draws())
    one_hot = 2.0 * F.one_hot(labels, 3).float()
    first, second = one_hot.clone(), one_hot.clone()
    first[:, 2] = noise
    second[:, :2] = 3 * torch.randn(600, 2, generator=draws(1))
    logits = torch.stack([first, second], 1)
    settings = SETTINGS.model_copy(update={"epochs": (100, 100)})
    half = (logits[::2], labels[::2]), (logits[1::2], labels[1::2])
    found = best(settings, *half, draws())
    assert found.weights.shape == (2, 3)
    assert found.accuracies[1] > found.accuracies[0]


def test_too_few_images_are_refused():
    empty = (torch.zeros(0, 2, 3), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(DasError, match="too few images"):
        best(SETTINGS, empty, empty, draws())


def test_an_ensemble_predicts_the_mean_of_probabilities_by_hand():
    members = []
    for seed, policy in enumerate((None, Policy.single("rotate", 10, 3), None)):
        torch.manual_seed(seed)
        fusion = "tsm" if policy else "none"
        members.append(
            DasModel(Architecture(network="resnet8", fusion=fusion), policy, tuple("abc"), [0.3], [0.4]).eval()
        )
    ensemble = Ensemble(members).eval()
    images = torch.randint(256, (7, 1, 20, 20), dtype=torch.uint8, generator=draws())
    labels = torch.randint(3, (7,), generator=draws(1))
    result = evaluate(ensemble, ImageSet(images, labels), Compute(), batch_size=4)
    hits, losses = 0, []
    for image, label in zip(images, labels, strict=True):
        outputs = [member(image[None].float() / 255)[0].double().exp() for member in members]
        mean = sum(output / output.sum() for output in outputs) / 3
        hits += int(mean.argmax() == label)
        losses.append(-float(mean[label].log()))
    assert result["accuracy"] == hits / 7
    assert result["loss"] == pytest.approx(sum(losses) / 7, rel=1e-5)
    assert ensemble.frames == 5


def test_copies_of_a_batch_are_augmented_each_by_itself():
    class Mark:
        def __call__(self, images, labels, generator):
            return images + torch.rand(len(images), 1, 1, 1, generator=generator), labels

    images = (torch.arange(12)[:, None, None, None] * 20).expand(-1, 1, 2, 2).to(torch.uint8)
    batches = Batches(ImageSet(images, torch.arange(12)), 4, [Mark()], copies=3)
    assert len(batches) == 3, "as many steps as without copies"
    single = Batches(ImageSet(images, torch.arange(12)), 4, [Mark()])
    seen = []
    for (pixels, labels), (_, plain) in zip(batches.epoch(draws()), single.epoch(draws()), strict=True):
        assert labels.tolist() == plain.tolist() * 3
        own = pixels[:, 0, 0, 0] - labels * 20 / 255
        assert len(set(own.tolist())) == 12
        seen += plain.tolist()
    assert sorted(seen) == list(range(12))
