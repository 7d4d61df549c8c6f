"""Manifold mixup (Verma et al. 2019; vikasverma1077/manifold_mixup)."""

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from das.augment import features
from das.augment.draws import beta
from das.augment.labels import mixed, probabilities
from das.augment.objective import Objective


class ManifoldMixup(Objective):
    """Mixup of what flows through the network at a place drawn for each batch.

    ``places``: 'input' and names of stages, after which features are mixed; by default the input and the first two
    stages. lambda ~ Beta(alpha, alpha), one a batch. Every frame is mixed with the partner's frame of the same time.
    ``loss`` `cross_entropy` is the criterion's; `binary` the authors' code's: the binary cross-entropy between the
    softmax and the mixed labels, mean over images and classes.
    """

    def __init__(
        self, *arguments, alpha: float = 1.0, places: Sequence[str] | None = None, loss: str = "cross_entropy"
    ):
        super().__init__(*arguments)
        if loss == "binary":
            self.criterion = BinaryCrossEntropy()
        network = self.model.network.network
        self.alpha = alpha
        self.places = list(places or ["input", *features.stages(network)[:2]])
        for place in set(self.places) - {"input"}:
            features.stage(network, place)

    def losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        place = self.places[int(torch.randint(len(self.places), (), generator=generator))]
        share = beta(self.alpha, generator)
        partners = torch.randperm(len(images), generator=generator).to(images.device)
        one_hot = probabilities(labels, len(self.model.classes))

        def mix(x: Tensor) -> Tensor:
            videos = x.unflatten(0, (len(partners), -1))
            return (share * videos + (1 - share) * videos[partners]).flatten(0, 1)

        context = contextlib.nullcontext()
        if place == "input":
            images = mix(images)
        else:
            context = features.changing(features.stage(self.model.network.network, place), mix)
        with context:
            loss = self.loss(images, mixed(one_hot, one_hot[partners], share))
        yield loss


class BinaryCrossEntropy(nn.Module):
    """Of the softmax of logits (B, K) and probabilities (B, K): each class by itself, mean over both."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        log_p = logits.float().log_softmax(1)
        log_rest = torch.log1p(-log_p.exp().clamp(max=1 - 1e-6))
        return -(labels * log_p + (1 - labels) * log_rest).mean()
