"""AutoMix (Liu et al. 2022; Westlake-AI/openmixup, classifiers/automix.py and heads/pmix_block.py)."""

import copy
import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.augment import features
from das.augment.draws import beta
from das.augment.labels import mixed, probabilities
from das.augment.objective import Objective

TOLERANCE = 0.1  # of the mask's mean to its target, without a loss


class MixBlock(nn.Module):
    """A mask that says for every pixel how much of the partner's image is taken, from both images' features."""

    def __init__(self, channels: int, lambda_channel: bool = False):
        super().__init__()
        self.lambda_channel = lambda_channel
        self.query = nn.Conv2d(channels + lambda_channel, max(channels // 2, 1), 1)
        self.value = nn.Conv2d(channels + lambda_channel, 1, 1)
        for convolution in (self.query, self.value):
            nn.init.normal_(convolution.weight, std=0.01)
            nn.init.zeros_(convolution.bias)

    def forward(self, own: Tensor, partner: Tensor, share: float, size: tuple[int, int]) -> Tensor:
        """Features (B, C, h, w) of both -> masks in [0, 1], (B, 1, *size). ``share`` is lambda, that of the own image:
        with ``lambda_channel`` a channel of its features, and 1 - lambda one of the partner's."""
        if self.lambda_channel:
            own, partner = (F.pad(x, (0, 0, 0, 0, 0, 1), value=s) for x, s in ((own, share), (partner, 1 - share)))
        query, key, value = (x.flatten(2) for x in (self.query(own), self.query(partner), self.value(partner)))
        attention = (query.transpose(1, 2) @ key / math.sqrt(query.shape[1])).softmax(-1)
        mask = (attention @ value.transpose(1, 2)).view(len(own), 1, *own.shape[2:])
        return torch.sigmoid(F.interpolate(mask, size, mode="nearest"))


class AutoMix(Objective):
    """A mix block learns, with a momentum copy of the network as teacher, how to mix what the network trains on.

    From the teacher's features at ``stage`` (default: the last but one) of both images of a pair the block makes the
    mask; x_mix = (1 - m) x + m x_partner. Two draws of lambda ~ Beta(alpha, alpha) and of partners: one for the
    network, whose mask is constant, one for the block. Loss: the network's one-hot cross-entropy through a classifier
    of its own, its mixed cross-entropy, and for the block alone the mixed cross-entropy through the frozen teacher
    plus ``mask_weight`` * max(|mean(m) - (1 - lambda)| - 0.1, 0). Where lambda or 1 - lambda is at most ``margin``, the
    network's images are plain mixup. After each step teacher = momentum * teacher + (1 - momentum) * network, with
    ``momentum`` going from the first to the second value by a half cosine, after the share ``constant`` of the
    training, in which it is the first. ``lambda_channel`` gives the block lambda as a channel (ImageNet's form there).

    Masks are the images': of a video, the untouched frame's features make them.
    """

    passes = 4

    def __init__(
        self,
        *arguments,
        alpha: float = 2.0,
        stage: str | None = None,
        momentum: tuple[float, float] = (0.999, 0.999999),
        constant: float = 0.1,
        lambda_channel: bool = False,
        margin: float = 0.08,
        mask_weight: float = 0.1,
    ):
        super().__init__(*arguments)
        features.require_image_sized_frames(self.model, "automix")
        self.alpha, self.margin, self.mask_weight = alpha, margin, mask_weight
        self.momentum, self.constant = momentum, constant
        network = self.model.network
        self.stage = stage or features.stages(network.network)[-2]
        norms = [m for m in features.stage(network.network, self.stage).modules() if isinstance(m, nn.BatchNorm2d)]
        self.block = MixBlock(norms[-1].num_features, lambda_channel)
        self.one_hot_classifier = copy.deepcopy(features.classifier(network.network))
        self.one_hot_classifier.reset_parameters()
        self.teacher = copy.deepcopy(network).requires_grad_(False)

    def losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        one_hot = probabilities(labels, len(self.model.classes))
        for_network, for_block = (
            (beta(self.alpha, generator), torch.randperm(len(images), generator=generator).to(images.device))
            for _ in range(2)
        )
        seen = self.teacher_features(images)
        yield self.one_hot_loss(images, labels)

        share, partners = for_network
        with torch.no_grad():
            mask = self.mask(seen, share, partners, images)
        yield self.loss(mix(images, partners, mask), mixed(one_hot, one_hot[partners], share))

        share, partners = for_block
        with self.arithmetic():
            mask = self.block(seen, seen[partners], share, images.shape[2:])
            videos = self.model.normalize(self.model.video(mix(images, partners, mask)))
            loss = self.criterion(self.teacher(videos), mixed(one_hot, one_hot[partners], share))
        yield loss + self.mask_weight * mask_loss(mask, share)

    def teacher_features(self, images: Tensor) -> Tensor:
        """The teacher's features of the images (B, C, h, w), without gradient."""
        network = self.teacher
        with torch.no_grad(), self.arithmetic():
            videos = self.model.normalize(self.model.video(images))
            seen = features.output_of(features.stage(network.network, self.stage), lambda: network(videos))
        return features.untouched_frame(seen, network.frames)

    def one_hot_loss(self, images: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the untouched images through the classifier that sees nothing else."""
        network = self.model.network
        with self.arithmetic(), features.watching(features.classifier(network.network)) as seen:
            self.model(images)
            logits = self.one_hot_classifier(seen[0]).unflatten(0, (-1, network.frames))
            return self.criterion(network.consensus(logits), labels)

    def mask(self, seen: Tensor, share: float, partners: Tensor, images: Tensor) -> Tensor:
        """The masks of the network's images, from the teacher's features."""
        if min(share, 1 - share) <= self.margin:
            return images.new_full((len(images), 1, 1, 1), 1 - share)
        with self.arithmetic():
            return self.block(seen, seen[partners], share, images.shape[2:])

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        first, last = self.momentum
        momentum = last - (last - first) * (1 + math.cos(math.pi * progress)) / 2
        if progress < self.constant:
            momentum = first
        pairs = zip(self.teacher.parameters(), self.model.network.parameters(), strict=True)
        for theirs, ours in pairs:
            theirs.lerp_(ours, 1 - momentum)


def mix(images: Tensor, partners: Tensor, mask: Tensor) -> Tensor:
    """(1 - m) x + m x_partner."""
    return images + mask * (images[partners] - images)


def mask_loss(mask: Tensor, share: float) -> Tensor:
    """How far the masks' mean is from the partner's share 1 - lambda, beyond the tolerance."""
    return ((mask.mean() - (1 - share)).abs() - TOLERANCE).clamp(min=0)
