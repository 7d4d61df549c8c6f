"""The first decisions of perturbation selection against ruocwang/darts-pt's procedure (sota/cnn/projection.py), told
slowly and with torch's own optimizers."""

import copy
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from das import data
from das.engine.progress import Epochs
from das.search.bilevel import BilevelSearch
from das.search.selection import perturbation
from das.study import check, of_policy
from das.video.cell import Relaxed

DECISIONS = 6  # five edges, and one node with more than two


class Enough(Exception):
    pass


@pytest.fixture
def trained(settings, tmp_path, monkeypatch):
    """A search after its epochs, before its selection."""
    monkeypatch.chdir(tmp_path)
    tiny = settings["datasets"]["tiny"]
    images = data.load(tiny["reader"], root=tiny["root"], options=tiny["options"])
    run = of_policy(check(settings, "test"), "tiny", "tiny", "perturbation", 0)
    search = BilevelSearch(run, images, run.digest)
    for epoch in (epochs := Epochs("test", search.settings.epochs, 0)):
        search._epoch(epoch, epochs)
    return search


def as_defined(norm, given, _):
    """Batch normalization by the batch alone."""
    mean, var = given[0].mean((0, 2, 3), keepdim=True), given[0].var((0, 2, 3), unbiased=False, keepdim=True)
    scaled = (given[0] - mean) / (var + norm.eps).sqrt()
    return scaled * norm.weight[:, None, None] + norm.bias[:, None, None]


class DartsPt:
    """Removals and tuning on what a search has trained."""

    def __init__(self, search):
        self.search, self.cell, self.model = search, search.cell, search.model
        weights, alpha = search.settings.weights, search.settings.alpha
        self.sgd = torch.optim.SGD(
            self.model.network.parameters(), weights.lr / 10, weights.momentum, weight_decay=weights.weight_decay
        )
        epochs = search.settings.tune_epochs * (DECISIONS - 1) + 1
        self.cosine = torch.optim.lr_scheduler.CosineAnnealingLR(self.sgd, epochs, eta_min=weights.lr_min)
        self.adam = torch.optim.Adam([self.cell.alpha], alpha.lr, alpha.betas, weight_decay=alpha.weight_decay)
        before = search.architect
        self.adam.state[self.cell.alpha] = {
            "step": before.steps[0], "exp_avg": before.means[0], "exp_avg_sq": before.squares[0]
        }  # fmt: skip
        self.chosen = {}

    def weights(self):
        rows = list(self.cell.alpha.softmax(-1))
        for edge, column in self.chosen.items():
            rows[edge] = torch.tensor([float(place == column) for place in range(len(rows[edge]))])
        return torch.stack(rows)

    @torch.no_grad()
    def removals(self, edge):
        """Accuracy and loss without each operation."""
        self.model.train()
        norms = [module for module in self.model.modules() if isinstance(module, nn.BatchNorm2d)]
        hooks = [module.register_forward_hook(as_defined) for module in norms]
        for module in self.model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
        found = []
        for column in range(5):
            right = loss = count = 0
            for images, labels in self.search.alpha_batches.epoch(self.search.run.generator("removals", "edge", edge)):
                without = self.weights()
                without[edge, column] = 0
                logits = self.model(images, Relaxed(self.cell, without))
                right += int((logits.argmax(1) == labels).sum())
                loss += float(F.cross_entropy(logits, labels, reduction="sum"))
                count += len(labels)
            found.append((right / count, loss / count))
        for hook in hooks:
            hook.remove()
        return found

    def decide(self, edge):
        found = self.removals(edge)
        self.chosen[edge] = min(range(5), key=lambda column: (found[column][0], -found[column][1]))
        return found

    def tune(self, edge):
        self.model.train()
        seeds = [("tune after", "edge", edge, 0), ("tune after", "edge", edge, "alpha half", 0)]
        halves = (self.search.weight_batches, self.search.alpha_batches)
        batches = (half.epoch(self.search.run.generator(*seed)) for half, seed in zip(halves, seeds, strict=True))
        for (images, labels), (held_out, held_out_labels) in zip(*batches, strict=True):
            self.adam.zero_grad()
            F.cross_entropy(self.model(held_out, Relaxed(self.cell, self.weights())), held_out_labels).backward()
            self.adam.step()
            self.sgd.zero_grad()
            F.cross_entropy(self.model(images, Relaxed(self.cell, self.weights().detach())), labels).backward()
            nn.utils.clip_grad_norm_(self.model.network.parameters(), self.search.settings.weights.clip_norm)
            self.sgd.step()
        self.cosine.step()


def test_decisions_and_the_tuning_between_them_are_darts_pts(trained):
    twin = DartsPt(copy.deepcopy(trained))
    saves = SimpleNamespace(count=0)

    def save():
        saves.count += 1
        if saves.count == 2:
            raise Enough

    trained.save = save
    torch.manual_seed(0)  # of dropout
    with pytest.raises(Enough):
        perturbation(trained, {})

    torch.manual_seed(0)
    start = twin.cell.alpha.detach().clone()
    order = torch.randperm(5, generator=trained.run.generator("perturbation")).tolist()
    for edge, (decided, accuracies, losses) in zip(order, trained.history["selection"]["operations"], strict=False):
        expected = twin.decide(edge)
        assert decided == edge
        assert accuracies == pytest.approx([accuracy for accuracy, _ in expected])
        assert losses == pytest.approx([loss for _, loss in expected], rel=1e-4)
        twin.tune(edge)
    assert len(twin.chosen) == 2
    torch.testing.assert_close(trained.cell.alpha, twin.cell.alpha, rtol=1e-4, atol=1e-6)
    undecided = sorted(set(range(5)) - set(order[:2]))
    assert (twin.cell.alpha - start).abs()[undecided].mean() > 0.01  # alpha has gone on
    for ours, theirs in zip(trained.network.parameters(), twin.model.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)
