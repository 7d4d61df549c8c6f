"""PatchMix (arXiv 2106.09011) with random grids.

The abstract names the parts: a binary mask on a regular grid, labels in proportion to patches, patch-level losses. The
grid's size, the distribution of masks and the weight of the patch losses are our own choices.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.augment import features
from das.augment.draws import beta
from das.augment.labels import mixed, probabilities
from das.augment.objective import Objective
from das.errors import DasError


class PatchMix(Objective):
    """Compose each image of its own patches and a partner's, and classify image and patches.

    The image is cut into ``grid`` x ``grid`` patches; a share ~ Beta(alpha, alpha) of them, drawn for each image, stays
    its own. The loss is the cross-entropy with labels mixed in proportion to patches, plus ``patch_weight`` times the
    mean cross-entropy of a linear classifier of each patch's features, before the global pooling, with the label of
    the patch's source. Of a video's features those of the untouched frame count.
    """

    def __init__(self, *arguments, grid: int = 4, alpha: float = 1.0, patch_weight: float = 1.0):
        super().__init__(*arguments)
        features.require_image_sized_frames(self.model, "patchmix")
        self.grid, self.alpha, self.patch_weight = grid, alpha, patch_weight
        channels = features.pooled_channels(self.model.network.network)
        self.patch_classifier = nn.Conv2d(channels, len(self.model.classes), 1)

    def losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        yield self.composed(images, labels, *self.pairing(labels, generator))[0]

    def pairing(self, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw for each image a partner, int64 (B,), and the partner's patches, bool (B, grid, grid)."""
        count, patches = len(labels), self.grid**2
        theirs = ((1 - beta(self.alpha, generator, count)) * patches).round()
        order = torch.rand(count, patches, generator=generator).argsort(1).argsort(1)
        masks = (order < theirs[:, None]).view(count, self.grid, self.grid)
        return torch.randperm(count, generator=generator).to(labels.device), masks.to(labels.device)

    def composed(self, images: Tensor, labels: Tensor, partners: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of the composed images, and for each how far its prediction is from its label: the
        Kullback-Leibler divergence (B,), without gradient."""
        one_hot = probabilities(labels, len(self.model.classes))
        own_share = 1 - masks.float().mean((1, 2))
        target = mixed(one_hot, one_hot[partners], own_share)
        network = self.model.network
        with self.arithmetic(), features.watching(features.pooling(network.network)) as seen:
            logits = self.model(compose(images, images[partners], masks))
            patches = features.untouched_frame(seen[0], network.frames)
            patch_logits = self.patch_classifier(F.adaptive_avg_pool2d(patches, self.grid))
            patch_labels = torch.where(masks, labels[partners].view(-1, 1, 1), labels.view(-1, 1, 1))
            loss = self.criterion(logits, target) + self.patch_weight * F.cross_entropy(patch_logits, patch_labels)
        divergence = F.kl_div(logits.detach().float().log_softmax(1), target, reduction="none").sum(1)
        return loss, divergence


def compose(images: Tensor, partners: Tensor, masks: Tensor) -> Tensor:
    """Take the patches that ``masks`` (B, g, g) marks from ``partners``, the others from ``images`` (B, C, H, W).

    Raises DasError where g does not divide the sides.
    """
    grid, (height, width) = masks.shape[1], images.shape[2:]
    if height % grid or width % grid:
        raise DasError(f"patchmix.grid: is {grid}, which does not divide images of {height} x {width} pixels")
    pixels = masks.repeat_interleave(height // grid, 1).repeat_interleave(width // grid, 2)
    return torch.where(pixels[:, None], partners, images)
