"""The gradient of the architecture: how alpha should change for the held-out loss to fall (DARTS, arXiv 1806.09055)."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from das.engine.optimizers import SGD

Batch = tuple[Tensor, Tensor]
#: A batch's loss and accuracy, by the weights given in place of the network's own (None: by its own).
Loss = Callable[[Batch, Sequence[Tensor] | None], tuple[Tensor, Tensor]]
Gradient = tuple[list[Tensor], Tensor, Tensor]


def first_order(loss: Loss, architecture: Sequence[Tensor], validation: Batch) -> Gradient:
    """grad_alpha L_val(w, alpha), with the weights taken as they are.

    Returns the gradients, shaped as ``architecture``, the held-out loss and the held-out accuracy.
    """
    held_out, accuracy = loss(validation, None)
    return list(torch.autograd.grad(held_out, architecture)), held_out.detach(), accuracy


def second_order(
    loss: Loss, architecture: Sequence[Tensor], optimizer: SGD, training: Batch, validation: Batch
) -> Gradient:
    """grad_alpha L_val(w'(alpha), alpha), where w' is one step of ``optimizer``, momentum and decay included, from w.

    DARTS, equations 6 to 8: grad_alpha L_val(w') - lr * (grad_alpha L_train(w+) - grad_alpha L_train(w-)) / (2 R), with
    w+- = w +- R * v, v = grad_w' L_val and R = 0.01 / |v|. Nothing is changed on the way, the optimizer included.

    Returns the gradients, shaped as ``architecture``, and the held-out loss and accuracy at w'.
    """
    lr, weights = optimizer.lr, optimizer.parameters
    gradients = torch.autograd.grad(loss(training, weights)[0], weights)
    unrolled = []
    for weight, gradient, buffer in zip(weights, gradients, optimizer.buffers, strict=True):
        step = gradient + optimizer.weight_decay * weight.detach()
        if buffer is not None:
            step = step + optimizer.momentum * buffer
        unrolled.append((weight.detach() - lr * step).requires_grad_())

    held_out, accuracy = loss(validation, unrolled)
    gradients = torch.autograd.grad(held_out, [*architecture, *unrolled])
    direct, direction = gradients[: len(architecture)], gradients[len(architecture) :]

    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(v) for v in direction]))
    radius = 0.01 / norm.clamp_min(torch.finfo(norm.dtype).tiny)

    def at(distance: Tensor) -> tuple[Tensor, ...]:
        moved = [w.detach() + distance * v for w, v in zip(weights, direction, strict=True)]
        return torch.autograd.grad(loss(training, moved)[0], architecture)

    implicit = [(plus - minus) / (2 * radius) for plus, minus in zip(at(radius), at(-radius), strict=True)]
    return [d - lr * i for d, i in zip(direct, implicit, strict=True)], held_out.detach(), accuracy
