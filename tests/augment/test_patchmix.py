"""PatchMix: patches, their labels, and the evolution of pairings and patterns."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from das.augment.patchmix import PatchMix, compose
from das.augment.patchmix_evolved import PatchMixEvolved
from das.errors import DasError


def test_patches_come_whole_from_one_image(draws):
    own, partners = torch.zeros(6, 2, 12, 8), torch.ones(6, 2, 12, 8)
    masks = torch.rand(6, 4, 4, generator=draws) < 0.5
    out = compose(own, partners, masks)
    for image in range(6):
        for row in range(4):
            for column in range(4):
                patch = out[image, :, 3 * row : 3 * row + 3, 2 * column : 2 * column + 2]
                assert (patch == float(masks[image, row, column])).all()


def test_a_grid_that_does_not_divide_is_refused():
    with pytest.raises(DasError, match="does not divide images of 10 x 12"):
        compose(torch.zeros(1, 1, 10, 12), torch.zeros(1, 1, 10, 12), torch.zeros(1, 4, 4, dtype=torch.bool))


def test_a_canvas_is_refused(make_model, criterion):
    with pytest.raises(DasError, match="canvas is 32"):
        PatchMix(make_model(3, canvas=32), criterion)


def test_the_share_of_own_patches_is_beta(make_model, criterion, draws):
    objective = PatchMix(make_model(), criterion, grid=8, alpha=2.0)
    partners, masks = objective.pairing(torch.zeros(4000, dtype=torch.int64), draws)
    assert torch.equal(partners.sort().values, torch.arange(4000))
    own = 1 - masks.float().mean((1, 2))
    assert abs(own.mean() - 0.5) < 5 * (0.05 / 4000) ** 0.5
    assert abs(own.var() - 0.05) < 0.005  # of Beta(2, 2)
    assert (masks.float().mean(0) - 0.5).abs().max() < 5 * (0.25 / 4000) ** 0.5  # no place is preferred


def test_the_loss_classifies_image_and_patches(make_model, criterion, batch, draws):
    images, labels = batch
    model = make_model().eval()
    objective = PatchMix(model, criterion, grid=2, patch_weight=0.7)
    partners, masks = objective.pairing(labels, draws)
    loss, divergence = objective.composed(images, labels, partners, masks)

    mixture = compose(images, images[partners], masks)
    log_p = model(mixture).log_softmax(1)
    share = masks.float().mean((1, 2))
    rows = torch.arange(16)
    image_loss = -((1 - share) * log_p[rows, labels] + share * log_p[rows, labels[partners]])

    network = model.network.network
    x = network.relu(network.bn1(network.conv1(model.normalize(mixture))))
    for stage in (network.layer1, network.layer2, network.layer3):
        x = stage(x)
    head, patch_loss = objective.patch_classifier, 0.0
    for row in range(2):
        for column in range(2):  # the features are 2 x 2 here: a pixel a patch
            logits = F.linear(x[:, :, row, column], head.weight[:, :, 0, 0], head.bias)
            source = torch.where(masks[:, row, column], labels[partners], labels)
            patch_loss = patch_loss + F.cross_entropy(logits, source) / 4
    assert torch.allclose(loss, image_loss.mean() + 0.7 * patch_loss, atol=1e-5)

    q = torch.zeros(16, 4).index_put((rows, labels), 1 - share)
    q = q.index_put((rows, labels[partners]), share, accumulate=True)
    entropy = -(q * q.clamp(min=1e-12).log()).sum(1)
    assert torch.allclose(divergence, image_loss.detach() - entropy, atol=1e-4)
    assert not divergence.requires_grad


def test_patches_are_classified_in_the_untouched_frame(make_model, criterion, batch, draws, monkeypatch):
    images, labels = batch
    model = make_model(frames=3)
    objective = PatchMix(model, criterion, grid=2)
    seen = []
    objective.patch_classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    monkeypatch.setattr(model.network.network, "avgpool", nn.Identity())
    model.network.network.avgpool.register_forward_hook(lambda *_: torch.zeros(48, 32, 1, 1))
    frame = torch.tensor([0.0, 1.0, 2.0]).repeat(16).view(-1, 1, 1, 1)
    model.network.network.layer3.register_forward_hook(lambda *_: frame.expand(48, 32, 2, 2))
    objective.composed(images, labels, *objective.pairing(labels, draws))
    assert (seen[0] == 1).all()


def test_evolved_pairs_are_of_the_individuals_classes(make_model, criterion, batch, draws, monkeypatch):
    images, labels = batch
    objective = PatchMixEvolved(make_model(), criterion, population=32, grid=2)
    objective.start_epoch(draws)
    seen = {}

    def composed(images, labels, partners, masks):
        seen.update(partners=partners, masks=masks)
        return images.sum(), torch.ones(len(labels))

    monkeypatch.setattr(objective, "composed", composed)
    (_,) = objective.losses(images, labels, draws)
    available = {(int(a), int(b)) for a, b in objective.pairs}
    pairs = set(zip(labels.tolist(), labels[seen["partners"]].tolist(), strict=True))
    assert pairs <= available
    assert objective.uses.sum() == 16


def test_evolution_keeps_the_hard_and_breeds_them(make_model, criterion, draws):
    objective = PatchMixEvolved(make_model(), criterion, population=8, grid=2)
    objective.start_epoch(draws)
    pairs, masks = objective.pairs.clone(), objective.masks.clone()
    objective.uses.fill_(2.0)
    objective.uses[0] = 0  # never used: not fit
    objective.divergence.copy_(torch.tensor([9.0, 8, 1, 7, 2, 6, 3, 5]))
    objective.start_epoch(draws)
    fit = [1, 3, 5, 7]
    assert torch.equal(objective.pairs[:4], pairs[fit])
    assert torch.equal(objective.masks[:4], masks[fit])
    assert objective.uses.sum() == 0
    assert objective.divergence.sum() == 0
    # over many generations without fitness, children differ from parents where mutation struck, rarely elsewhere
    firsts = {int(c) for c in pairs[fit, 0]}
    inherited = [int(c) in firsts for c in objective.pairs[4:, 0]]
    assert sum(inherited) >= 2


def test_evolution_finds_what_is_hard(make_model, criterion, draws):
    """With the fitness 'partner class 0 and many foreign patches', the population moves there."""
    objective = PatchMixEvolved(make_model(), criterion, population=64, grid=4)
    objective.start_epoch(draws)
    start = objective.masks.float().mean()
    for _ in range(30):
        hard = objective.masks.float().mean((1, 2)) + (objective.pairs[:, 1] == 0)
        objective.divergence.copy_(hard)
        objective.uses.fill_(1.0)
        objective.start_epoch(draws)
    kept = objective.pairs[:32]
    assert (kept[:, 1] == 0).all()
    assert objective.masks[:32].float().mean() > max(0.8, float(start))
