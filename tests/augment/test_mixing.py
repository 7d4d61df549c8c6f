"""Mixup, CutMix and manifold mixup: labels follow what was mixed."""

import pytest
import torch

from das import augment
from das.augment import features
from das.augment import manifold_mixup as module
from das.augment.manifold_mixup import ManifoldMixup
from das.errors import DasError

K = 16


def one_class_an_image() -> tuple[torch.Tensor, torch.Tensor]:
    """Image i is the constant i + 1 and has class i: pixels tell whose they are."""
    labels = torch.arange(K)
    return (labels + 1.0).view(-1, 1, 1, 1).expand(K, 3, 12, 10).clone(), labels


@pytest.mark.parametrize("seed", range(20))
def test_cutmix_labels_are_pixel_shares(seed):
    images, labels = one_class_an_image()
    (step,) = augment.build([{"cutmix": {"alpha": 1.0}}], classes=K)
    out, mixed = step(images, labels, torch.Generator().manual_seed(seed))
    shares = torch.stack([(out[:, 0] == k + 1).float().mean((1, 2)) for k in range(K)], 1)
    assert torch.allclose(mixed, shares, atol=1e-6)
    own = out[:, 0] == images[:, 0]
    assert (own == own[0]).all(), "one box a batch"
    box = ~own[0]
    assert torch.equal(box, box.any(1)[:, None] & box.any(0)[None])


def test_cutmix_boxes_have_the_definitions_distribution():
    images, labels = one_class_an_image()
    (step,) = augment.build([{"cutmix": {"alpha": 1.0, "probability": 0.5}}], classes=K)
    generator = torch.Generator().manual_seed(0)
    shares = torch.stack([step(images, labels, generator)[1][0, 0] for _ in range(2000)])
    mixed = shares[shares < 1]
    assert abs(len(mixed) / 2000 - 0.5) < 0.08  # a box of no pixels leaves a mixed batch as it is
    # definition: half-sides floor(side * sqrt(1 - lambda) / 2) about a uniform center, clipped
    reference = torch.Generator().manual_seed(1)
    lam = torch.rand(50_000, generator=reference)
    areas = torch.ones(50_000)
    for side in (12, 10):
        center = torch.randint(side, (50_000,), generator=reference)
        half = (side * (1 - lam).sqrt() / 2).floor()
        areas *= ((center + half).clamp(max=side) - (center - half).clamp(min=0)) / side
    expected = (1 - areas)[areas > 0]
    assert abs(mixed.mean() - expected.mean()) < 5 * expected.std() / len(mixed) ** 0.5


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_mixup_blends_labels_as_pixels(alpha):
    images, labels = one_class_an_image()
    (step,) = augment.build([{"mixup": {"alpha": alpha}}], classes=K)
    generator, own = torch.Generator().manual_seed(0), []
    for _ in range(400):
        out, mixed = step(images, labels, generator)
        assert torch.allclose(mixed.sum(1), torch.ones(K), atol=1e-6)
        assert torch.allclose(out[:, 0, 3, 3], mixed @ (labels + 1.0), atol=1e-4)
        own.append(mixed[0, 0])
    own = torch.stack(own)
    variance = 1 / (4 * (2 * alpha + 1))  # of Beta(alpha, alpha)
    assert abs(own.var() - variance) < 0.25 * variance
    assert abs(own.mean() - 0.5) < 5 * (variance / 400) ** 0.5


@pytest.mark.parametrize("place", ["input", "layer1", "layer2"])
@pytest.mark.parametrize("frames", [1, 3])
def test_manifold_mixup_mixes_frame_by_frame(make_model, criterion, batch, place, frames, monkeypatch):
    """Against a network cut in two by hand: run to the place, mix videos, run on."""
    images, labels = batch
    model = make_model(frames).eval()
    objective = ManifoldMixup(model, criterion, places=[place])
    share, partners = 0.3, torch.arange(15, -1, -1)

    monkeypatch.setattr(module, "beta", lambda alpha, generator: share)
    monkeypatch.setattr(torch, "randperm", lambda count, generator: partners)
    (loss,) = objective.losses(images, labels, torch.Generator().manual_seed(0))

    def mixed(x):
        videos = x.view(16, -1, *x.shape[1:])
        return (share * videos + (1 - share) * videos[partners]).reshape(x.shape)

    network = model.network.network
    x = model.normalize(model.video(mixed(images) if place == "input" else images))
    x = network.relu(network.bn1(network.conv1(x.flatten(0, 1))))
    for stage in features.stages(network):
        x = network.get_submodule(stage)(x)
        x = mixed(x) if stage == place else x
    logits = network.fc(network.avgpool(x).flatten(1)).view(16, frames, -1).mean(1)
    log_p = logits.log_softmax(1)
    rows = torch.arange(16)
    wanted = -(share * log_p[rows, labels] + (1 - share) * log_p[rows, labels[partners]]).mean()
    assert torch.allclose(loss, wanted, atol=1e-5)


def test_manifold_mixup_can_take_its_authors_loss(make_model, criterion, batch, monkeypatch):
    """torch's BCELoss of the softmax."""
    images, labels = batch
    model = make_model().eval()
    objective = ManifoldMixup(model, criterion, places=["input"], loss="binary")
    monkeypatch.setattr(module, "beta", lambda alpha, generator: 0.3)
    monkeypatch.setattr(torch, "randperm", lambda count, generator: torch.arange(15, -1, -1))
    (loss,) = objective.losses(images, labels, torch.Generator().manual_seed(0))
    one_hot = torch.eye(len(model.classes))[labels]
    softmax = model(0.3 * images + 0.7 * images.flip(0)).softmax(1)
    assert torch.allclose(loss, torch.nn.BCELoss()(softmax, 0.3 * one_hot + 0.7 * one_hot.flip(0)), atol=1e-6)


def test_manifold_mixup_draws_all_its_places(make_model, criterion, batch, draws, monkeypatch):
    objective = ManifoldMixup(make_model(), criterion)
    assert objective.places == ["input", "layer1", "layer2"]
    used = []
    monkeypatch.setattr(features, "stage", lambda network, name: used.append(name) or network.get_submodule(name))
    for _ in range(30):
        next(iter(objective.losses(*batch, draws)))
    assert set(used) == {"layer1", "layer2"}
    assert len(used) < 30


def test_unknown_places_are_refused(make_model, criterion):
    with pytest.raises(DasError, match="layer9"):
        ManifoldMixup(make_model(), criterion, places=["layer9"])
