"""Learned test-time averaging of frames (Shanmugam et al. 2021, arXiv 2011.11156; divyashan/test-time-augmentation)."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.data import splits
from das.data.sets import Dataset
from das.engine.device import arithmetic
from das.engine.holdout import held_out
from das.engine.optimizers import SGD
from das.errors import DasError
from das.study.runs import EvaluationRun
from das.study.schema import Averaging
from das.tasks.classification import DasModel


class WeightedFrames(nn.Module):
    """Logits (B, T, K) to (B, K) by fixed weights: (T,), sum_t w_t z_t / sum_t w_t; or (T, K), sum_t w_tk z_tk."""

    def __init__(self, weights: Tensor):
        super().__init__()
        self.weights = nn.Buffer(weights)

    def forward(self, logits: Tensor) -> Tensor:
        return weighted(logits, self.weights)


def weighted(logits: Tensor, weights: Tensor) -> Tensor:
    """`WeightedFrames` as a function, differentiable in the weights."""
    if weights.ndim == 1:
        return torch.einsum("t,btk->bk", weights / weights.sum(), logits)
    return torch.einsum("tk,btk->bk", weights, logits)


@dataclass(frozen=True)
class Learned:
    """The weights that were chosen, and the accuracy in [0, 1] of both kinds on the images that chose."""

    weights: Tensor
    accuracies: tuple[float, float]

    def document(self) -> dict[str, Any]:
        """What a number says of it."""
        per_frame, per_class = self.accuracies
        return {"weights": self.weights.tolist(), "chosen_on": {"per_frame": per_frame, "per_class": per_class}}


def learn(run: EvaluationRun, model: DasModel, dataset: Dataset) -> Learned:
    """The averaging that ``run`` asks for, learned from the frames' logits that ``model`` (of the run's learner) makes
    of the training images it did not see, without augmentation."""
    assert run.how.averaging
    assert run.learner
    _, held = held_out(run.learner, dataset)
    images = dataset.train.subset(held)
    to_learn, to_choose = splits.halves(images.strata, run.dataset, "averaging", run.seed)
    logits, labels = frame_logits(run, model, images)
    return best(
        run.how.averaging,
        (logits[to_learn], labels[to_learn]),
        (logits[to_choose], labels[to_choose]),
        run.generator("averaging"),
    )


@torch.no_grad()
def frame_logits(run: EvaluationRun, model: DasModel, images) -> tuple[Tensor, Tensor]:
    """Logits (N, T, K) of each frame of ``images``, and labels (N,), on the CPU."""
    model.eval()
    device = torch.device(run.compute.device)
    found: list[Tensor] = []
    labels: list[Tensor] = []
    for batch, targets in model.batches(images, 4 * run.recipe.batch_size, device).epoch():
        with arithmetic(run.compute):
            videos = model.normalize(model.video(batch))
            found.append(model.network.frame_logits(videos).float().cpu())  # type: ignore[operator]
        labels.append(targets.cpu())
    return torch.cat(found), torch.cat(labels)


def best(
    settings: Averaging, learning: tuple[Tensor, Tensor], choosing: tuple[Tensor, Tensor], generator: torch.Generator
) -> Learned:
    """Learn both kinds of weights on the pair ``learning``, logits (N, T, K) and labels (N,), and keep the one with the
    higher accuracy on ``choosing``; of equals, the one with fewer weights. DasError where either pair is empty."""
    if not len(learning[1]) or not len(choosing[1]):
        raise DasError("averaging: too few images are held out to learn on one half and choose on the other")
    frames, classes = learning[0].shape[1:]
    candidates = [
        fitted(settings, *learning, shape, epochs, generator)
        for shape, epochs in zip([(frames,), (frames, classes)], settings.epochs, strict=True)
    ]
    logits, labels = choosing
    right = [float((weighted(logits, weights).argmax(1) == labels).double().mean()) for weights in candidates]
    return Learned(candidates[right[1] > right[0]], (right[0], right[1]))


def fitted(
    settings: Averaging, logits: Tensor, labels: Tensor, shape: tuple[int, ...], epochs: int, generator: torch.Generator
) -> Tensor:
    """Weights of ``shape``, (T,) or (T, K): SGD on the cross-entropy from 1 / T, at or above 0 after each step."""
    weights = nn.Parameter(torch.full(shape, 1 / logits.shape[1]))
    optimizer = SGD([weights], settings.lr, settings.momentum, settings.weight_decay)
    for _ in range(epochs):
        order = torch.randperm(len(labels), generator=generator)
        for chunk in order.split(settings.batch_size):
            optimizer.zero_grad()
            F.cross_entropy(weighted(logits[chunk], weights), labels[chunk]).backward()
            optimizer.step()
            with torch.no_grad():
                weights.clamp_(min=0)
                if not weights.any():  # nothing would be left to divide by
                    weights.fill_(1 / logits.shape[1])
    return weights.detach()
