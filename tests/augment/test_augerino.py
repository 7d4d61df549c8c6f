"""Augerino against its definition: maps against scipy's exponential, gradients against finite differences."""

import math
from functools import partial

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import nn
from torch.nn import functional as F

from das import augment
from das.augment.augerino import Augerino
from das.engine.checkpoint import checkpoint, load_model
from das.errors import DasError
from das.study.schema import Architecture
from das.tasks.classification import DasModel
from das.video.affine import TRANSLATION, inverse_maps, moved
from das.video.policy import Policy

GENERATORS = np.array([
    [[0, 0, TRANSLATION], [0, 0, 0], [0, 0, 0]],
    [[0, 0, 0], [0, 0, TRANSLATION], [0, 0, 0]],
    [[0, -1, 0], [1, 0, 0], [0, 0, 0]],
    [[1, 0, 0], [0, 1, 0], [0, 0, 0]],
    [[1, 0, 0], [0, -1, 0], [0, 0, 0]],
    [[0, 1, 0], [1, 0, 0], [0, 0, 0]],
])  # fmt: skip


def bilinear(image, x, y):
    """One pixel of an image (C, H, W) at indices x, y; black outside."""
    total = torch.zeros(len(image), dtype=torch.float64)
    for column in (math.floor(x), math.floor(x) + 1):
        for row in (math.floor(y), math.floor(y) + 1):
            if 0 <= column < image.shape[2] and 0 <= row < image.shape[1]:
                total += (1 - abs(x - column)) * (1 - abs(y - row)) * image[:, row, column].double()
    return total


def test_maps_are_scipys_exponential_of_the_generators_sum():
    draws = np.random.default_rng(0).uniform(-1, 1, (20, 6))
    for coefficients in draws:
        mapped = scipy.linalg.expm(np.tensordot(coefficients, GENERATORS, 1))
        half = np.diag([9 / 2, 6 / 2, 1])  # images of 6 rows and 9 columns span [-1, 1]
        found = inverse_maps(torch.from_numpy(coefficients), 6, 9).numpy()
        assert np.allclose(found, half @ mapped @ np.linalg.inv(half), atol=1e-12)


def test_images_are_read_where_the_maps_say():
    draws = torch.Generator().manual_seed(0)
    images = torch.rand(3, 2, 6, 9, generator=draws)
    coefficients = torch.rand(3, 6, generator=draws, dtype=torch.float64) - 0.5
    found = moved(images, coefficients)
    for image, own, result in zip(images, coefficients, found, strict=True):
        mapped = scipy.linalg.expm(np.tensordot(own.numpy(), GENERATORS, 1))
        for row in range(6):
            for column in range(9):
                place = mapped @ [(column + 0.5) / 4.5 - 1, (row + 0.5) / 3 - 1, 1]
                x, y = (place[0] + 1) * 4.5 - 0.5, (place[1] + 1) * 3 - 0.5
                assert torch.allclose(result[:, row, column].double(), bilinear(image, x, y), atol=1e-5)


@pytest.fixture
def objective(make_model, criterion):
    torch.manual_seed(0)
    architecture = Architecture(network="resnet8", network_options={"width": 8})
    model = DasModel(architecture, None, tuple("abcd"), [0.5] * 3, [0.25] * 3)
    return Augerino(model, criterion, penalty=0.3)


def test_the_gradient_of_the_widths_is_that_of_finite_differences(objective, batch, draws):
    objective.double().eval()
    images, labels = torch.rand(8, 3, 16, 16, generator=draws, dtype=torch.float64), batch[1][:8]
    eps = torch.rand(8, 6, generator=draws, dtype=torch.float64) - 0.5
    theta = (torch.rand(6, generator=draws, dtype=torch.float64) - 0.5).requires_grad_()
    (gradient,) = torch.autograd.grad(objective.loss_at(theta, images, labels, eps), theta)
    for place in range(6):
        # A step across a pixel's border bends the loss; this one is too short for most of them.
        step = torch.zeros(6, dtype=torch.float64)
        step[place] = 1e-7
        with torch.no_grad():
            after, before = (objective.loss_at(theta + s, images, labels, eps) for s in (step, -step))
        assert float(gradient[place]) == pytest.approx(float(after - before) / 2e-7, rel=1e-3, abs=1e-6)


def test_the_loss_rewards_wide_ranges_until_one_is_ten(objective, batch, draws):
    objective.eval()
    images, labels = torch.rand(4, 3, 16, 16, generator=draws), batch[1][:4]
    eps = torch.zeros(4, 6)
    plain = objective.criterion(objective.model(images), labels).item()
    for theta, reward in ((torch.zeros(6), 0.3 * math.log(2) * math.sqrt(6)), (torch.full((6,), 12.0), 0.0)):
        assert objective.loss_at(theta, images, labels, eps).item() == pytest.approx(plain - reward, abs=1e-5)


def test_the_widths_learn_by_adam_and_the_network_by_the_recipe(objective, batch, draws):
    assert "theta" not in dict(objective.named_parameters())
    reference = nn.Parameter(objective.theta.clone())
    adam = torch.optim.Adam([reference], lr=0.01)
    images, labels = torch.rand(16, 3, 16, 16, generator=draws), batch[1]
    for step in range(3):
        (loss,) = objective.losses(images, labels, draws)
        loss.backward()
        reference.grad = objective._leaf.grad.clone()
        objective.after_step(step / 3)
        adam.step()
        assert torch.allclose(objective.theta, reference, atol=1e-7)
        assert objective.theta.abs().max() > 0


def test_a_test_averages_the_views_and_a_checkpoint_keeps_them(objective, draws, tmp_path):
    objective.start_epoch(draws)
    objective.before_test()
    model = objective.model.eval()
    assert (model.frames, model.policy.frames) == (4, 1)
    widths = F.softplus(objective.theta)
    assert torch.allclose(torch.tensor(model.architecture.views), objective.draws * widths)
    assert objective.draws.abs().max() <= 0.5
    images = torch.rand(3, 3, 16, 16, generator=draws)
    alone = partial(DasModel.forward, model)
    outputs = [alone(images, lambda x, v=v: moved(x, v.expand(3, -1))[:, None]) for v in objective.draws * widths]
    averaged = torch.stack([logits.log_softmax(1) for logits in outputs]).mean(0)  # the authors' test
    assert torch.allclose(model(images).softmax(1), averaged.softmax(1), atol=1e-6)
    (tmp_path / "a.pt").write_bytes(checkpoint(model))
    loaded = load_model(tmp_path / "a.pt")
    assert torch.equal(loaded(images), model(images))
    plain = load_model(tmp_path / "a.pt", Policy.replicate(2))
    assert torch.allclose(plain(images), alone(images, lambda x: x[:, None]), atol=1e-6)


def test_what_it_remembers_is_in_its_state(objective, batch, draws, criterion):
    objective.start_epoch(draws)
    (loss,) = objective.losses(torch.rand(16, 3, 16, 16, generator=draws), batch[1], draws)
    loss.backward()
    objective.after_step(1.0)
    other = Augerino(objective.model, criterion)
    other.load_state_dict(objective.state_dict())
    for name in ("theta", "mean", "square", "step", "draws"):
        assert torch.equal(getattr(other, name), getattr(objective, name))
    assert float(other.step) == 1


def test_several_frames_are_refused(make_model, criterion):
    with pytest.raises(DasError, match="3 frames"):
        augment.build_objective(["augerino"])(make_model(3), criterion)
