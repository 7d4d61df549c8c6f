"""SGD, Adam and AdamW on torch's functional forms.

The classes of torch.optim import torch's compiler when they are made: seconds, in each of a study's many short jobs.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw
from torch.optim.sgd import sgd

from das.study.schema import Recipe

Factors = Mapping[nn.Parameter, float]


class _Optimizer:
    """Parameters, a learning rate that may be set before each step, and ``factors`` that multiply it for some."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, factors: Factors | None):
        self.parameters = list(parameters)
        self.factors = [(factors or {}).get(parameter, 1.0) for parameter in self.parameters]
        self.lr, self.weight_decay = lr, weight_decay

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        with_gradient = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for factor in sorted({self.factors[i] for i in with_gradient}):
            self._step([i for i in with_gradient if self.factors[i] == factor], self.lr * factor)

    def _step(self, moved: list[int], lr: float) -> None:
        raise NotImplementedError


class SGD(_Optimizer):
    """SGD with momentum and weight decay, step for step as torch.optim.SGD."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        factors: Factors | None = None,
    ):
        super().__init__(parameters, lr, weight_decay, factors)
        self.momentum = momentum
        self.buffers: list[Tensor | None] = [None] * len(self.parameters)

    def _step(self, moved: list[int], lr: float) -> None:
        buffers = [self.buffers[i] for i in moved]
        sgd(
            [self.parameters[i].data for i in moved],
            [_gradient(self.parameters[i]) for i in moved],
            buffers,
            lr=lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
        for i, buffer in zip(moved, buffers, strict=True):
            self.buffers[i] = buffer

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs; the hyperparameters come from the study."""
        return {"buffers": self.buffers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.buffers = [
            buffer if buffer is None else buffer.to(parameter.device)
            for buffer, parameter in zip(state["buffers"], self.parameters, strict=True)
        ]


class _Moments:
    """What Adam remembers of each parameter: means of its gradient and of its square, and the number of steps."""

    def __init__(self, parameters: Sequence[Tensor]):
        self.means = [torch.zeros_like(parameter.data) for parameter in parameters]
        self.squares = [torch.zeros_like(parameter.data) for parameter in parameters]
        self.steps = [torch.zeros(()) for _ in parameters]

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs; the hyperparameters come from the study."""
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for ours, saved in ((self.means, "means"), (self.squares, "squares"), (self.steps, "steps")):
            for tensor, value in zip(ours, state[saved], strict=True):
                tensor.copy_(value)


class Adam(_Moments):
    """Step for step as torch.optim.Adam, with the gradients handed over and a weight decay for each parameter."""

    def __init__(
        self, parameters: Sequence[Tensor], lr: float, betas: tuple[float, float], weight_decays: Sequence[float]
    ):
        super().__init__(parameters)
        self.parameters = list(parameters)
        self.lr, self.betas, self.weight_decays = lr, betas, list(weight_decays)

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update the parameters by ``gradients``, of their shapes."""
        rows = zip(
            self.parameters, gradients, self.means, self.squares, self.steps, self.weight_decays, strict=True
        )  # fmt: skip
        for parameter, gradient, mean, square, step, weight_decay in rows:
            adam(
                [parameter.data],
                [gradient],
                [mean],
                [square],
                [],
                [step],
                amsgrad=False,
                beta1=self.betas[0],
                beta2=self.betas[1],
                lr=self.lr,
                weight_decay=weight_decay,
                eps=1e-8,
                maximize=False,
            )


class AdamW(_Optimizer, _Moments):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019), step for step as torch.optim.AdamW."""

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        weight_decay: float = 0.01,
        factors: Factors | None = None,
    ):
        _Optimizer.__init__(self, parameters, lr, weight_decay, factors)
        _Moments.__init__(self, self.parameters)
        self.betas = betas

    def _step(self, moved: list[int], lr: float) -> None:
        adamw(
            [self.parameters[i].data for i in moved],
            [_gradient(self.parameters[i]) for i in moved],
            [self.means[i] for i in moved],
            [self.squares[i] for i in moved],
            [],
            [self.steps[i] for i in moved],
            amsgrad=False,
            beta1=self.betas[0],
            beta2=self.betas[1],
            lr=lr,
            weight_decay=self.weight_decay,
            eps=1e-8,
            maximize=False,
        )


def from_recipe_sgd(parameters: Iterable[nn.Parameter], recipe: Recipe, factors: Factors | None = None) -> SGD:
    """SGD as a recipe asks for it."""
    return SGD(parameters, recipe.lr, recipe.momentum, recipe.weight_decay, factors)


def from_recipe_adamw(parameters: Iterable[nn.Parameter], recipe: Recipe, factors: Factors | None = None) -> AdamW:
    """AdamW as a recipe asks for it; its first beta is the recipe's momentum."""
    return AdamW(parameters, recipe.lr, (recipe.momentum, 0.999), recipe.weight_decay, factors)


def _gradient(parameter: nn.Parameter) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad
