"""The bases of augmentations. A plain callable of the same arguments is an augmentation, too."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from das.data.augmentation import Augmentation


class SearchedAugmentation(nn.Module, Augmentation):
    """An augmentation whose parameters are searched before the training, on its training set.

    Attributes: ``batch_size`` of the search, and how many training ``images`` it sees, drawn by chance (all of a
    smaller set); ``space_size``, the number of choices.
    """

    images: int
    batch_size: int
    space_size: int

    def search(
        self,
        epoch_of: Callable[[torch.Generator], Iterable[tuple[Tensor, Tensor]]],
        make_critic: Callable[[int], nn.Module],
        classes: int,
        generator: torch.Generator,
    ) -> None:
        """Learn the parameters.

        Args:
            epoch_of: one epoch of training batches, images in [0, 1] and class indices.
            make_critic: a network of that many outputs, images in [0, 1] to (B, outputs).
            classes: K, of the labels.
            generator: on the CPU.
        """
        raise NotImplementedError

    def describe(self) -> str:
        """What was found, in one line."""
        raise NotImplementedError
