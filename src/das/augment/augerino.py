"""Augerino (Benton et al. 2020, arXiv 2010.11882; g-benton/learning-invariances): learned ranges of affine maps."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim.adam import adam

from das.augment.objective import Objective
from das.errors import DasError
from das.video.affine import GENERATORS, moved

WIDEST = 10.0  # a width from which on widths are not rewarded any more


class Augerino(Objective):
    """Each image is seen through an affine map by chance, whose ranges are learned with the weights.

    Widths w = softplus(theta), theta starting at 0; coefficients of the generators (das.video.affine) U(-w/2, w/2).
    Loss: the criterion's, minus ``penalty`` * |w|_2 while all widths are below 10. theta learns by Adam at ``lr``,
    whatever the recipe's optimizer. A test averages the predictions of ``copies`` maps, drawn once for all images: a
    prediction does not depend on the rest of its batch. (The authors draw anew for each image.)

    Raises DasError for a model of several frames.
    """

    def __init__(self, *arguments, copies: int = 4, penalty: float = 0.01, lr: float = 0.01):
        super().__init__(*arguments)
        if self.model.policy.frames != 1:
            raise DasError(
                f"augment: augerino makes its own copies; the policy's {self.model.policy.frames} frames should be 1"
            )
        self.penalty, self.lr = penalty, lr
        count = len(GENERATORS)
        for name in ("theta", "mean", "square"):
            self.register_buffer(name, torch.zeros(count))
        self.register_buffer("step", torch.zeros(()))
        self.register_buffer("draws", torch.zeros(copies, count))
        self._leaf = self.theta

    @property
    def widths(self) -> Tensor:
        """w (6,)."""
        return F.softplus(self.theta)

    def start_epoch(self, generator: torch.Generator) -> None:
        self.draws.copy_(torch.rand(self.draws.shape, generator=generator) - 0.5)

    def losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        draws = (torch.rand(len(images), len(GENERATORS), generator=generator) - 0.5).to(images.device)
        self._leaf = self.theta.detach().requires_grad_()
        yield self.loss_at(self._leaf, images, labels, draws)

    def loss_at(self, theta: Tensor, images: Tensor, labels: Tensor, draws: Tensor) -> Tensor:
        """The loss, differentiable in ``theta``, with coefficients ``draws`` (B, 6) in [-1/2, 1/2] times the widths."""
        widths = F.softplus(theta)
        with self.arithmetic():
            loss = self.criterion(self.model(images, lambda x: moved(x, draws * widths)[:, None]), labels)
        return loss - self.penalty * widths.norm() * bool((widths < WIDEST).all())

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        adam(
            [self.theta],
            [self._leaf.grad],
            [self.mean],
            [self.square],
            [],
            [self.step],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=self.lr,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )

    def before_test(self) -> None:
        self.model.look_through((self.draws * self.widths).tolist())
