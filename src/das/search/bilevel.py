"""Bilevel search of a policy (DARTS; quark0/darts, ruocwang/darts-pt): weights on one half of the training set, alpha
on the other, in turn. The test set is not used."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das import augment
from das.config import Study, digest, policy_settings
from das.data.batches import Batches, Normalize
from das.data.sets import Dataset
from das.data.splits import halves
from das.data.statistics import mean_std
from das.engine.device import arithmetic, prepare
from das.engine.optimiser import SGD
from das.engine.progress import Epochs
from das.engine.provenance import Meter
from das.engine.resume import ResumeState, random_state, set_random_state
from das.errors import DasError
from das.models import video_model
from das.search.architect import first_order
from das.seeding import derive, generator
from das.video.cell import Cell
from das.video.policy import Policy


class Supernet(nn.Module):
    """The relaxed cell, normalisation and the video network: images (B, C, H, W) in [0, 1] to logits (B, classes)."""

    def __init__(self, cell: Cell, normalize: Normalize, network: nn.Module):
        super().__init__()
        self.cell, self.normalize, self.network = cell, normalize, network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(self.normalize(self.cell(images)))


def entropy(alpha: Tensor) -> float:
    """Mean over edges of the entropy of softmax(alpha), as a share of its maximum: 1 is undecided, 0 is decided."""
    log_p = F.log_softmax(alpha.detach().double(), dim=-1)
    return float(-(log_p.exp() * log_p).sum(-1).mean() / math.log(alpha.shape[-1]))


class BilevelSearch:
    """One search: the policy that ``policies.<policy>`` of ``study`` describes, for a data set, backbone and seed."""

    def __init__(self, study: Study, dataset: str, backbone: str, policy: str, seed: int, images: Dataset):
        source, data, net = study.policies[policy], study.datasets[dataset], study.backbones[backbone]
        self.identity = (dataset, backbone, policy, seed)
        self.compute, self.settings = study.compute, study.searches[source.search]
        self.device = prepare(study.compute)
        depends_on = {
            "policy": policy_settings(study, policy),
            "dataset": data.model_dump(exclude={"title", "recipe"}),
            "backbone": net.model_dump(exclude={"title"}),
            "compute": study.compute.model_dump(),
            "data": images.train.digest,
        }
        self.resume = ResumeState("search", *map(str, self.identity), digest=digest(depends_on))

        torch.manual_seed(derive(*self.identity, "weights"))
        cell = Cell(**study.cells[source.cell].model_dump(), seed=derive(*self.identity, "cell"))
        mean, std = mean_std(images.train)
        network = video_model(
            net.network,
            num_classes=len(images.classes),
            frames=cell.family.frames,
            fusion=source.fusion,
            backbone_options=net.options,
            in_channels=len(mean),
            pretrained=net.pretrained,
            dropout=net.dropout,
        )
        self.supernet = Supernet(cell, Normalize(mean, std), network).to(self.device)
        self.alpha = self.supernet.cell.alpha
        self.alpha_optimiser = torch.optim.Adam([self.alpha], **self.settings.alpha.model_dump())
        weights = self.settings.weights
        self.optimiser = SGD(network.parameters(), weights.lr, weights.momentum, weights.weight_decay)
        steps = augment.build(data.augment)
        self.weight_half, self.alpha_half = (
            Batches(
                images.train.subset(half), self.settings.batch_size, steps, device=self.device, drop_last=True
            )
            for half in halves(images.train.strata, *self.identity)
        )  # fmt: skip
        self.history: dict[str, list] = {
            "alpha": [self.alpha.tolist()],
            "entropy": [entropy(self.alpha)],
            "train_loss": [],
            "val_loss": [],
            "val_accuracy": [],
            "candidates": [choice.operation for choice in cell.family.candidates[0]],
            "space_size": cell.family.size(),
        }

    def run(self) -> tuple[Policy, dict[str, Any], dict[str, Any]]:
        """Return the policy, the history (per epoch: alpha and its entropy, from the start on; mean losses on both
        halves and held-out accuracy) and the run record.

        An interrupted search continues after its last whole epoch and ends in the same policy. Raises DasError when a
        loss is no longer finite.
        """
        state = self.resume.load()
        start, spent = self._restore(state) if state else (0, None)
        meter = Meter(self.device, spent)
        for epoch in (epochs := Epochs(f"search {'/'.join(map(str, self.identity))}", self.settings.epochs, start)):
            train_loss, val_loss, val_accuracy = self._epoch(epoch, epochs)
            if not math.isfinite(train_loss + val_loss):
                raise DasError(f"{epochs.title}: the loss is {train_loss + val_loss}; lower searches.*.weights.lr")
            for key, value in (
                ("alpha", self.alpha.tolist()),
                ("entropy", entropy(self.alpha)),
                ("train_loss", train_loss),
                ("val_loss", val_loss),
                ("val_accuracy", val_accuracy),
            ):
                self.history[key].append(value)
            epochs.report(
                f"loss {train_loss:.4f}, held-out loss {val_loss:.4f}, held-out accuracy {val_accuracy:.2%}, "
                f"alpha entropy {self.history['entropy'][-1]:.4f}"
            )
            self.resume.save(self._state(epoch + 1, meter))
        policy = self.supernet.cell.policy(provenance={"source": "search", "identity": list(self.identity)})
        return policy, self.history, meter.record()

    def _epoch(self, epoch: int, epochs: Epochs) -> tuple[float, float, float]:
        weights = self.settings.weights
        cosine = (1 + math.cos(math.pi * epoch / self.settings.epochs)) / 2
        self.optimiser.lr = weights.lr_min + (weights.lr - weights.lr_min) * cosine
        pairs = zip(
            self.weight_half.epoch(generator(*self.identity, "weight half", epoch)),
            self.alpha_half.epoch(generator(*self.identity, "alpha half", epoch)),
            strict=False,
        )
        steps = min(len(self.weight_half), len(self.alpha_half))
        totals = torch.zeros(3, device=self.device)
        self.supernet.train()
        for training, validation in epochs.batches(pairs, steps):
            val_loss, correct = self._alpha_step(validation)
            totals += torch.stack([self._weight_step(training), val_loss, correct])
        train_loss, val_loss, val_accuracy = (totals / steps).tolist()
        return train_loss, val_loss, val_accuracy

    def _loss(self, batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy and accuracy on ``batch``."""
        images, labels = batch
        with arithmetic(self.compute):
            logits = self.supernet(images)
            loss = F.cross_entropy(logits, labels)
        return loss, (logits.detach().argmax(1) == labels).float().mean()

    def _alpha_step(self, validation: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        self.alpha.grad, loss, accuracy = first_order(self._loss, self.alpha, validation)
        self.alpha_optimiser.step()
        return loss, accuracy

    def _weight_step(self, training: tuple[Tensor, Tensor]) -> Tensor:
        self.alpha.requires_grad_(False)
        loss, _ = self._loss(training)
        self.alpha.requires_grad_(True)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.supernet.network.parameters(), self.settings.weights.clip_norm)
        self.optimiser.step()
        return loss.detach()

    def _state(self, epoch: int, meter: Meter) -> dict[str, Any]:
        return {
            "supernet": self.supernet.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "alpha_optimiser": self.alpha_optimiser.state_dict(),
            "random": random_state(),
            "history": self.history,
            "epoch": epoch,
            "meter": meter.state(),
        }

    def _restore(self, state: dict[str, Any]) -> tuple[int, dict[str, float]]:
        self.supernet.load_state_dict(state["supernet"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.alpha_optimiser.load_state_dict(state["alpha_optimiser"])
        set_random_state(state["random"])
        self.history = state["history"]
        return state["epoch"], state["meter"]
