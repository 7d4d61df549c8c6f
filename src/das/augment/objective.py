"""What a training step minimizes: cross-entropy of the predictions, or whatever a competing method puts there."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

Arithmetic = Callable[[], contextlib.AbstractContextManager]


class Objective(nn.Module):
    """Cross-entropy of the model's predictions.

    Everything that a method trains or remembers is a parameter or buffer of its objective, the ``model`` included, so
    that the optimizer and the resume state need to know nothing else.

    Args:
        model: images (B, C, H, W) in [0, 1] to logits (B, K), made of `video`, `normalize` and `network`
            (das.tasks.classification.DasModel).
        criterion: logits and labels (classes or probabilities) to a scalar.
        arithmetic: makes the context (autocast) that forward passes run in.
    """

    passes = 1  # frames that go forward through a network for each frame of a training batch

    def __init__(self, model: nn.Module, criterion: nn.Module, arithmetic: Arithmetic = contextlib.nullcontext):
        super().__init__()
        self.model, self.criterion, self.arithmetic = model, criterion, arithmetic

    def start_epoch(self, generator: torch.Generator) -> None:
        """Called before each epoch's first batch."""

    def losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        """Yield the terms of the loss, each to be differentiated before the next is asked for: their graphs are never
        in memory together. ``generator`` is on the CPU."""
        yield self.loss(images, labels)

    def after_step(self, progress: float) -> None:
        """Called after each optimizer step; ``progress`` is the share of the training done before it, in [0, 1)."""

    def before_test(self) -> None:
        """Called before each test, and before the trained model is kept."""

    def loss(self, images: Tensor, labels: Tensor) -> Tensor:
        with self.arithmetic():
            return self.criterion(self.model(images), labels)
