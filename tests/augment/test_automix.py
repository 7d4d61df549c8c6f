"""AutoMix: its mask, its gradients, its teacher, its loss."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from das.augment.automix import AutoMix, MixBlock, mask_loss, mix
from das.errors import DasError


@pytest.fixture
def objective(make_model, criterion):
    torch.manual_seed(3)
    return AutoMix(make_model(), criterion, stage="layer2")


def terms(objective, batch, draws):
    for term in objective.losses(*batch, draws):
        objective.zero_grad()
        term.backward()
        yield term


def has_gradient(module) -> bool:
    return any(p.grad is not None and p.grad.abs().sum() > 0 for p in module.parameters())


def test_the_mask_is_the_definitions(draws):
    block = MixBlock(6)
    own, partner = torch.randn(2, 3, 6, 2, 2, generator=draws)
    made = block(own, partner, 0.3, (4, 6))
    for image in range(3):
        q, k = (block.query(x[image : image + 1])[0].flatten(1) for x in (own, partner))
        v = block.value(partner[image : image + 1])[0].flatten()
        for place in range(4):
            weights = torch.stack([q[:, place] @ k[:, other] / math.sqrt(3) for other in range(4)]).softmax(0)
            expected = torch.sigmoid(weights @ v)
            row, column = divmod(place, 2)
            cell = made[image, 0, 2 * row : 2 * row + 2, 3 * column : 3 * column + 3]
            assert torch.allclose(cell, expected.expand(2, 3), atol=1e-6)


def test_lambda_can_be_a_channel_of_the_features(draws):
    """The form with lambda is the plain one on features that have it as their last channel."""
    block, plain = MixBlock(6, lambda_channel=True), MixBlock(7)
    plain.query, plain.value = block.query, block.value
    nn.init.normal_(block.query.weight)
    own, partner = torch.randn(2, 3, 6, 2, 2, generator=draws)
    with_it = torch.cat([own, torch.full((3, 1, 2, 2), 0.3)], 1), torch.cat([partner, torch.full((3, 1, 2, 2), 0.7)], 1)
    assert torch.allclose(block(own, partner, 0.3, (4, 6)), plain(*with_it, 0.3, (4, 6)))
    assert not torch.allclose(block(own, partner, 0.3, (4, 6)), block(own, partner, 0.9, (4, 6)))


def test_mixing_takes_the_masked_part_of_the_partner():
    images = torch.tensor([1.0, 5.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2)
    mask = torch.tensor([[0.0, 1.0], [0.25, 0.5]]).expand(2, 1, 2, 2)
    out = mix(images, torch.tensor([1, 0]), mask)
    assert out[0, 0].tolist() == [[1.0, 5.0], [2.0, 3.0]]
    assert out[1, 0].tolist() == [[5.0, 1.0], [4.0, 3.0]]


@pytest.mark.parametrize(("mean", "share", "loss"), [(0.3, 0.7, 0), (0.3, 0.65, 0), (0.5, 0.2, 0.2), (0.9, 0.4, 0.2)])
def test_the_mask_loss_has_a_margin(mean, share, loss):
    assert float(mask_loss(torch.full((2, 1, 3, 3), mean), share)) == pytest.approx(loss, abs=1e-6)


def test_gradients_go_where_they_should(objective, batch, draws):
    """One-hot and mixed losses train the network, not the block; the third term trains the block alone."""
    steps = terms(objective, batch, draws)
    next(steps)
    assert has_gradient(objective.model)
    assert has_gradient(objective.one_hot_classifier)
    assert not has_gradient(objective.block)
    assert objective.model.network.network.fc.weight.grad is None, "the one-hot loss has a classifier of its own"
    next(steps)
    assert has_gradient(objective.model)
    assert has_gradient(objective.model.network.network.fc)
    assert not has_gradient(objective.block), "the network's mask is constant"
    next(steps)
    assert has_gradient(objective.block)
    assert not has_gradient(objective.model)
    assert not any(p.requires_grad for p in objective.teacher.parameters())


def test_the_blocks_term_is_the_teachers_loss(objective, batch, draws, monkeypatch):
    """Recomputed from the block's mask with the teacher as a plain network."""
    import das.augment.automix as module

    images, labels = batch
    shares = iter([0.4, 0.8])
    partners = iter([torch.arange(16).roll(1), torch.arange(16).roll(5)])
    monkeypatch.setattr(module, "beta", lambda alpha, generator: next(shares))
    monkeypatch.setattr(torch, "randperm", lambda count, generator: next(partners))
    objective.eval()
    one_hot, mixed, block = objective.losses(images, labels, draws)

    def cross_entropy(logits, share, other):
        return share * F.cross_entropy(logits, labels) + (1 - share) * F.cross_entropy(logits, labels[other])

    network, teacher = objective.model.network.network, objective.teacher.network
    x = objective.model.normalize(images)

    def trunk(net, x, stages):
        x = net.relu(net.bn1(net.conv1(x)))
        for stage in stages:
            x = net.get_submodule(stage)(x)
        return x

    seen = trunk(teacher, x, ["layer1", "layer2"])
    pooled = trunk(network, x, ["layer1", "layer2", "layer3"]).mean((2, 3))
    head = objective.one_hot_classifier
    assert torch.allclose(one_hot, F.cross_entropy(F.linear(pooled, head.weight, head.bias), labels), atol=1e-5)

    other = torch.arange(16).roll(1)
    mask = objective.block(seen, seen[other], 0.5, (16, 16))
    logits = objective.model((1 - mask) * images + mask * images[other])
    assert torch.allclose(mixed, cross_entropy(logits, 0.4, other), atol=1e-5)

    other = torch.arange(16).roll(5)
    mask = objective.block(seen, seen[other], 0.5, (16, 16))
    logits = teacher(objective.model.normalize((1 - mask) * images + mask * images[other]))
    wanted = cross_entropy(logits, 0.8, other) + 0.1 * max(abs(mask.mean().item() - 0.2) - 0.1, 0)
    assert torch.allclose(block, wanted, atol=1e-5)


def test_lambdas_near_the_end_give_plain_mixup(objective, batch):
    images, _ = batch
    mask = objective.mask(torch.zeros(16, 16, 4, 4), 0.95, torch.arange(16), images)
    assert torch.allclose(mask, torch.full_like(mask, 0.05))


def test_the_teacher_follows_with_cosine_momentum(objective):
    objective.momentum = (0.9, 1.0)
    start = [p.clone() for p in objective.teacher.parameters()]
    with torch.no_grad():
        for p in objective.model.network.parameters():
            p.add_(1.0)
    followed = start
    for progress in (0.0, 0.09, 0.25, 0.5, 1.0):  # constant in the first tenth, as openmixup's CosineScheduleHook
        objective.after_step(progress)
        momentum = 0.9 if progress < 0.1 else 0.9 + 0.1 * (1 - math.cos(math.pi * progress)) / 2
        ours = list(objective.model.network.parameters())
        followed = [momentum * t + (1 - momentum) * o for t, o in zip(followed, ours, strict=True)]
    for p, wanted in zip(objective.teacher.parameters(), followed, strict=True):
        assert torch.allclose(p, wanted, atol=1e-6)


def test_it_mixes_images_before_they_become_videos(make_model, criterion, batch, draws):
    torch.manual_seed(3)
    objective = AutoMix(make_model(frames=3), criterion)
    losses = [term.item() for term in terms(objective, batch, draws)]
    assert len(losses) == 3
    assert all(map(math.isfinite, losses))
    assert has_gradient(objective.block), "the gradient did not come back through the image-to-video step"


def test_what_cannot_work_is_refused(make_model, criterion):
    with pytest.raises(DasError, match="canvas"):
        AutoMix(make_model(3, canvas=32), criterion)
    with pytest.raises(DasError, match="layer7"):
        AutoMix(make_model(), criterion, stage="layer7")
