"""PatchMix (arXiv 2106.09011) with an evolutionary search of pairings and patterns.

The abstract names a genetic search over class pairs and masks with a fitness that needs no retraining; its form is not
in our sources. Ours: a composition is fit when the network as it stands finds it hard (as the policies of Adversarial
AutoAugment are, Zhang et al. 2020), measured on the training batches that it composed, at no further cost.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from das.augment.patchmix import PatchMix

CLASS_MUTATION = 0.1


class PatchMixEvolved(PatchMix):
    """PatchMix whose partners' classes and grid patterns come from a population that evolves after every epoch.

    An individual is a pair of classes and a mask. An image is composed by an individual whose first class is its own,
    with an image of the second class (of the batch; where there is none, by any other). The fitness is the mean
    divergence between prediction and mixed label of the images so composed in the epoch. The fitter half stays; the
    other half are children of two of them: each patch from either parent, one class from each, a patch flipped with
    probability 1/grid^2, a class drawn anew with probability 0.1.
    """

    def __init__(self, *arguments, population: int = 64, **settings):
        super().__init__(*arguments, **settings)
        self.register_buffer("pairs", torch.zeros(population, 2, dtype=torch.int64))
        self.register_buffer("masks", torch.zeros(population, self.grid, self.grid, dtype=torch.bool))
        self.register_buffer("divergence", torch.zeros(population))
        self.register_buffer("uses", torch.zeros(population))
        self.register_buffer("generation", torch.zeros((), dtype=torch.int64))

    def start_epoch(self, generator: torch.Generator) -> None:
        pairs, masks = (x.cpu() for x in (self.pairs, self.masks))
        if self.generation == 0:
            pairs, masks = self._first(generator)
        else:
            fitness = torch.where(self.uses > 0, self.divergence / self.uses.clamp(min=1), -torch.inf).cpu()
            pairs, masks = self._next(pairs, masks, fitness, generator)
        self.pairs.copy_(pairs)
        self.masks.copy_(masks)
        self.generation += 1
        self.divergence.zero_()
        self.uses.zero_()

    def _first(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        labels = torch.zeros(len(self.pairs), dtype=torch.int64)
        pairs = torch.randint(len(self.model.classes), self.pairs.shape, generator=generator)
        return pairs, super().pairing(labels, generator)[1]

    def _next(self, pairs: Tensor, masks: Tensor, fitness: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        kept = fitness.argsort(descending=True, stable=True)[: (len(pairs) + 1) // 2]
        born = len(pairs) - len(kept)
        first, second = kept[torch.randint(len(kept), (2, born), generator=generator)]
        inherited = torch.rand(born, self.grid, self.grid, generator=generator) < 0.5
        children = torch.where(inherited, masks[first], masks[second])
        children ^= torch.rand(children.shape, generator=generator) < 1 / self.grid**2
        crossed = torch.stack([pairs[first, 0], pairs[second, 1]], 1)
        drawn = torch.randint(len(self.model.classes), crossed.shape, generator=generator)
        crossed = torch.where(torch.rand(crossed.shape, generator=generator) < CLASS_MUTATION, drawn, crossed)
        return torch.cat([pairs[kept], crossed]), torch.cat([masks[kept], children])

    def losses(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> Iterator[Tensor]:
        composer = _preferably(self.pairs[:, 0] == labels[:, None], generator)
        partners = _preferably(labels == self.pairs[composer, 1, None], generator)
        loss, divergence = self.composed(images, labels, partners, self.masks[composer])
        self.divergence.index_add_(0, composer, divergence)
        self.uses.index_add_(0, composer, torch.ones_like(divergence))
        yield loss


def _preferably(wanted: Tensor, generator: torch.Generator) -> Tensor:
    """For each row of ``wanted`` (rows, columns) an even draw of the columns where it is True, or of all if none is."""
    score = torch.rand(wanted.shape, generator=generator).to(wanted.device)
    return (score + wanted).argmax(1)
