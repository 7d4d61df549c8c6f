"""The gradient of alpha: how the mixture of operations should change for the held-out loss to fall."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


def first_order(
    loss_of: Callable[[Batch], tuple[Tensor, Tensor]], alpha: nn.Parameter, validation: Batch
) -> tuple[Tensor, Tensor, Tensor]:
    """DARTS, first order: grad_alpha L_val(w, alpha), with the weights taken as they are.

    Args:
        loss_of: a batch to its loss and accuracy.

    Returns the gradient, shaped as alpha, the held-out loss and the held-out accuracy.
    """
    loss, accuracy = loss_of(validation)
    (gradient,) = torch.autograd.grad(loss, [alpha])
    return gradient, loss.detach(), accuracy
