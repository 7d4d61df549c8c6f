"""Bilevel search of a policy (DARTS; quark0/darts, ruocwang/darts-pt): weights on one half of the training set, the
architecture on the other, in turn; then the selection. The test set is not used."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das import augment, tasks
from das.data.batches import Batches
from das.data.sets import Dataset
from das.data.splits import halves
from das.engine.curves import Curves, of_search
from das.engine.device import arithmetic, prepare
from das.engine.optimizers import SGD, Adam
from das.engine.progress import Epochs
from das.engine.provenance import Meter
from das.engine.resume import ResumeState, random_state, set_random_state
from das.errors import DasError
from das.search.architect import Batch, first_order, second_order
from das.search.relaxation import noise_like
from das.search.smoothing import radius, smoothed
from das.study import registry
from das.study.runs import SearchRun
from das.study.schema import Smoothing
from das.video.cell import Cell, Relaxed
from das.video.policy import Policy

#: What makes videos (B, T, C, H, W) of images (B, C, H, W): the cell with some weights, or a policy.
ToVideo = Callable[[Tensor], Tensor]


def entropy(alpha: Tensor) -> float:
    """Mean over edges of the entropy of softmax(alpha), as a share of its maximum: 1 is undecided, 0 is decided."""
    log_p = F.log_softmax(alpha.detach().double(), dim=-1)
    return float(-(log_p.exp() * log_p).sum(-1).mean() / math.log(alpha.shape[-1]))


class BilevelSearch:
    """One search, of ``run``, on the training set of ``images``; ``depends_on`` is the digest of all that it depends on
    (`das.study.results.key`).

    Selections and scores work with its ``cell``, ``network``, ``settings``, ``history`` and ``contestants`` through
    ``tune``, ``tune_both``, ``held_out``, ``removal`` and ``save``.
    """

    def __init__(self, run: SearchRun, images: Dataset, depends_on: str):
        self.run = run
        self.compute, self.settings = run.compute, run.search
        self.device = prepare(run.compute)
        self.curves = Curves(run)
        self.resume = ResumeState(run.kind, run.study, *run.place.split("/"), digest=depends_on)

        torch.manual_seed(run.seed_for("weights"))
        self.cell = Cell(**run.cell.model_dump(), seed=run.seed_for("cell")).to(self.device)
        still = Policy.replicate(self.cell.family.frames)
        self.model = tasks.model(run.architecture, still, images.classes, *images.mean_std).to(self.device)
        self.criterion = self.model.criterion().to(self.device)
        relaxation = registry.lookup("relaxation", self.settings.relaxation)
        self.relax, self.learns = relaxation.load(), relaxation.facts.get("learns", True)
        self.architecture = list(self.cell.parameters())
        alpha = self.settings.alpha
        # Decay draws alpha to an even mixture; magnitudes have no such middle.
        decays = [alpha.weight_decay if p is self.cell.alpha else 0.0 for p in self.architecture]
        self.architect = Adam(self.architecture, alpha.lr, alpha.betas, decays)
        self.optimizer = self._optimizer()
        steps, batch_size = augment.build(run.data.augment), self.settings.batch_size
        self.halves = halves(images.train.strata, *run.identity.values())
        weight_half, alpha_half = images.train.subset(self.halves[0]), images.train.subset(self.halves[1])
        self.weight_batches, self.alpha_batches = (
            Batches(half, batch_size, steps, device=self.device, drop_last=True) for half in (weight_half, alpha_half)
        )
        self.held_out_batches = Batches(alpha_half, 4 * batch_size, device=self.device)
        if not len(self.alpha_batches):  # the smaller half, where they differ
            raise DasError(
                f"searches.{run.source.search}.batch_size: is {batch_size}, but half the training set of "
                f"{run.dataset} has {len(alpha_half)} images; use at most that many"
            )
        self.history: dict[str, Any] = {
            "alpha": [self.cell.alpha.tolist()],
            "entropy": [entropy(self.cell.alpha)],
            "train_loss": [],
            "val_loss": [],
            "val_accuracy": [],
            "candidates": self._candidates(),
            "space_size": self.cell.family.size(),
            "selection": {"rule": self.settings.selection},
        }
        self.contestants: dict[int, dict[str, Tensor]] = {}
        self.seconds: list[float] = []
        self.epoch, self.meter = 0, Meter(self.device)

    def _candidates(self) -> list[str]:
        """What alpha's columns stand for: operations, with their magnitude where that is the same on all edges."""
        alike = self.cell.family.magnitudes == "grid"
        return [choice.describe() if alike else choice.operation for choice in self.cell.family.candidates[0]]

    @property
    def network(self) -> nn.Module:
        """What reads the videos: the part of the model that has weights."""
        return self.model.network

    def find(self) -> tuple[Policy, dict[str, Any], dict[str, Any]]:
        """Return the policy, the history and the run record.

        The history holds per epoch, from the start on, alpha and its entropy, and per epoch the mean losses on both
        halves and the held-out accuracy, as the steps met them; then what the selection saw. The run record adds
        `epochs_device_s`. An interrupted search continues after its last whole epoch or step of the selection, and
        ends in the same policy. Raises DasError when a loss is no longer finite.
        """
        self._restore(self.resume.load())
        for epoch in (epochs := Epochs(self.run.title, self.settings.epochs, self.epoch)):
            before = self.meter.state()["device_s"]
            losses = self._epoch(epoch, epochs)
            self._record(epochs, *losses)
            self.curves.write(of_search(self.history))
            self.epoch = epoch + 1
            self.seconds.append(round(self.meter.state()["device_s"] - before, 3))
            self.save()
        select = registry.lookup("selection", self.settings.selection).load()
        policy = select(self, {"source": "search", "identity": list(self.run.identity.values())})
        return policy, self.history, self.meter.record() | {"epochs_device_s": self.seconds}

    def _record(self, epochs: Epochs, train_loss: float, val_loss: float, val_accuracy: float) -> None:
        if not math.isfinite(train_loss + val_loss):
            raise DasError(f"{epochs.title}: the loss is {train_loss + val_loss}; lower searches.*.weights.lr")
        values = {
            "alpha": self.cell.alpha.tolist(),
            "entropy": entropy(self.cell.alpha),
            "train_loss": train_loss,
            "val_loss": val_loss,
            "val_accuracy": val_accuracy,
        }
        for key, value in values.items():
            self.history[key].append(value)
        epochs.report(
            f"loss {train_loss:.4f}, held-out loss {val_loss:.4f}, held-out accuracy {val_accuracy:.2%}, "
            f"alpha entropy {values['entropy']:.4f}"
        )

    # -- one epoch -----------------------------------------------------------------------------------------------

    def _epoch(self, epoch: int, epochs: Epochs) -> tuple[float, float, float]:
        """Mean loss on the weight half, and mean loss and accuracy on the alpha half."""
        self.optimizer.lr = self._cosine(epoch / self.settings.epochs)
        draws = self.run.generator("relaxation", epoch)

        def drawn() -> Callable[[], Tensor]:
            noise = noise_like(self.cell.alpha, draws)
            return lambda: self.relax(self.cell.family, self.cell.alpha, noise)

        steps = min(len(self.weight_batches), len(self.alpha_batches))
        learns = self.learns and epoch >= self.settings.warmup_epochs
        totals = torch.zeros(3, device=self.device)
        self.model.train()
        pairs = self._pairs(("weight half", epoch), ("alpha half", epoch))
        for training, validation in epochs.batches(pairs, steps):
            held_out = self._architecture_step(training, validation, drawn(), learns)
            fixed = self._fixed(drawn())
            if smoothing := self.settings.smooth:
                size = radius(smoothing, epoch, self.settings.epochs)
                weights = self.cell.weights().detach()
                fixed = Relaxed(self.cell, self._smoothed(smoothing, weights, training, size, draws))
            loss = self._weight_step(self.optimizer, training, fixed)
            totals += torch.stack([loss, *held_out])
        train_loss, val_loss, val_accuracy = (totals / steps).tolist()
        return train_loss, val_loss, val_accuracy

    def _pairs(self, weight: tuple[str | int, ...], alpha: tuple[str | int, ...]) -> Iterator[tuple[Batch, Batch]]:
        """A batch of the weight half and one of the alpha half, in the order that the seeds for them give."""
        halves = ((self.weight_batches, weight), (self.alpha_batches, alpha))
        return zip(*(batches.epoch(self.run.generator(*step)) for batches, step in halves), strict=False)

    def _fixed(self, relaxed: Callable[[], Tensor]) -> Relaxed:
        """The cell as the network's weights see it: no gradient reaches it."""
        with torch.no_grad():
            return Relaxed(self.cell, relaxed())

    def _architecture_step(
        self, training: Batch, validation: Batch, relaxed: Callable[[], Tensor], learns: bool
    ) -> tuple[Tensor, Tensor]:
        """Move the architecture down the held-out loss, if it ``learns``; return that loss and accuracy. ``relaxed``
        gives the candidates' weights (edges, candidates), as a function of alpha."""

        def loss(batch: Batch, weights: Sequence[Tensor] | None) -> tuple[Tensor, Tensor]:
            return self._loss(batch, Relaxed(self.cell, relaxed()), weights)

        if not learns:
            with torch.no_grad():
                return loss(validation, None)
        if self.settings.order == "first":
            gradients, value, accuracy = first_order(loss, self.architecture, validation)
        else:
            gradients, value, accuracy = second_order(loss, self.architecture, self.optimizer, training, validation)
        self.architect.step(gradients)
        return value, accuracy

    def _weight_step(self, optimizer: SGD, batch: Batch, to_video: ToVideo) -> Tensor:
        self.cell.requires_grad_(False)
        loss, _ = self._loss(batch, to_video)
        self.cell.requires_grad_(True)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(optimizer.parameters, self.settings.weights.clip_norm)
        optimizer.step()
        return loss.detach()

    def _smoothed(
        self, smoothing: Smoothing, weights: Tensor, batch: Batch, size: float, draws: torch.Generator
    ) -> Tensor:
        """The candidates' ``weights`` moved by up to ``size``; the training loss is that of evaluation, and nothing
        else changes."""
        self.cell.requires_grad_(False)
        self.model.eval()
        try:
            loss_at = partial(self._loss_at, batch)
            return smoothed(weights, loss_at, smoothing, size, draws)
        finally:
            self.model.train()
            self.cell.requires_grad_(True)

    def _loss_at(self, batch: Batch, weights: Tensor) -> Tensor:
        return self._loss(batch, Relaxed(self.cell, weights))[0]

    def _loss(self, batch: Batch, to_video: ToVideo, weights: Sequence[Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """Mean loss and accuracy (of pixels, for label maps) on ``batch``. A trial with other ``weights`` leaves the
        network's running statistics as they are."""
        images, labels = batch
        with arithmetic(self.compute):
            if weights is None:
                logits = self.model(images, to_video)
            else:
                names = [f"network.{name}" for name, _ in self.network.named_parameters()]
                state = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
                state.update(zip(names, weights, strict=True))
                logits = torch.func.functional_call(self.model, state, (images, to_video))
            loss = self.criterion(logits, labels)
        return loss, self.model.batch_accuracy(logits, labels)

    # -- what selections use -------------------------------------------------------------------------------------

    def tune(self, to_video: ToVideo, *step: str | int) -> None:
        """Train the weights for `tune_epochs` epochs: one cosine cycle, fresh momentum. ``step`` seeds the batches."""
        optimizer, epochs = self._optimizer(), self.settings.tune_epochs or 0
        steps, done = epochs * len(self.weight_batches), 0
        self.model.train()
        for epoch in range(epochs):
            for batch in self.weight_batches.epoch(self.run.generator(*step, epoch)):
                optimizer.lr = self._cosine(done / steps)
                self._weight_step(optimizer, batch, to_video)
                done += 1

    def tune_both(self, relaxed: Callable[[], Tensor], decision: int, decisions: int, *step: str | int) -> None:
        """Train weights and architecture in turn for `tune_epochs` epochs, after one of ``decisions`` of darts-pt.

        Over all decisions the rate of the weights falls along one cosine, from a tenth of the search's, with momentum
        anew at the first; alpha's optimizer is the search's (ruocwang/darts-pt, sota/cnn/projection.py, which makes
        that schedule but never steps it). ``relaxed`` gives the candidates' weights (edges, candidates), as a function
        of alpha. ``step`` seeds the batches.
        """
        count, start = self.settings.tune_epochs or 0, self.settings.weights.lr / 10
        if decision == 0:
            self.optimizer = self._optimizer()
        self.model.train()
        for epoch in range(count):
            progress = (decision * count + epoch) / ((decisions - 1) * count + 1)
            self.optimizer.lr = self._cosine(progress, start)
            for training, validation in self._pairs((*step, epoch), (*step, "alpha half", epoch)):
                self._architecture_step(training, validation, relaxed, learns=True)
                self._weight_step(self.optimizer, training, self._fixed(relaxed))

    @torch.no_grad()
    def removal(self, to_video: ToVideo, *step: str | int) -> tuple[float, float]:
        """Mean cross-entropy and accuracy on the alpha half as the steps of the search meet it: augmented, in shuffled
        batches of ``batch_size``, normalized by the batch's own statistics (darts-pt, `infer` with `_eval=False`). No
        dropout. ``step`` seeds the batches."""
        self.model.train()
        for module in self.model.modules():
            if isinstance(module, nn.modules.dropout._DropoutNd):
                module.eval()
        batches = self.alpha_batches.epoch(self.run.generator(*step))
        loss, accuracy = torch.stack([torch.stack(self._loss(batch, to_video)) for batch in batches]).mean(0).tolist()
        return loss, accuracy

    @torch.no_grad()
    def held_out(self, to_video: ToVideo) -> tuple[float, float]:
        """Mean cross-entropy and accuracy on the alpha half, not augmented."""
        self.model.eval()
        totals = torch.zeros(2, device=self.device)
        for batch in self.held_out_batches.epoch():
            totals += len(batch[1]) * torch.stack(self._loss(batch, to_video))
        loss, accuracy = (totals / len(self.held_out_batches.set)).tolist()
        return loss, accuracy

    def save(self) -> None:
        """Keep everything that an interrupted search needs to continue from here."""
        self.resume.save({
            "cell": self.cell.state_dict(),
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "architect": self.architect.state_dict(),
            "random": random_state(),
            "history": self.history,
            "contestants": self.contestants,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "meter": self.meter.state(),
        })  # fmt: skip

    def _restore(self, state: dict[str, Any] | None) -> None:
        self.meter = Meter(self.device, state and state["meter"])
        if state is None:
            return
        self.cell.load_state_dict(state["cell"])
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.architect.load_state_dict(state["architect"])
        set_random_state(state["random"])
        self.history, self.contestants = state["history"], state["contestants"]
        self.epoch, self.seconds = state["epoch"], state["seconds"]

    def _optimizer(self) -> SGD:
        weights = self.settings.weights
        return SGD(self.network.parameters(), weights.lr, weights.momentum, weights.weight_decay)

    def _cosine(self, progress: float, start: float | None = None) -> float:
        weights = self.settings.weights
        height = (weights.lr if start is None else start) - weights.lr_min
        return weights.lr_min + height * (1 + math.cos(math.pi * progress)) / 2
