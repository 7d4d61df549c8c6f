"""SGD on torch's functional form.

The class torch.optim.SGD imports torch's compiler when it is made: seconds, in each of a study's many short jobs.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim.sgd import sgd


class SGD:
    """SGD with momentum and weight decay, step for step as torch.optim.SGD; ``lr`` may be set before each step.

    ``factors`` multiply the learning rate of some parameters.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        factors: Mapping[nn.Parameter, float] | None = None,
    ):
        self.parameters = list(parameters)
        self.factors = [(factors or {}).get(parameter, 1.0) for parameter in self.parameters]
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.buffers: list[Tensor | None] = [None] * len(self.parameters)

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        with_gradient = [i for i, parameter in enumerate(self.parameters) if parameter.grad is not None]
        for factor in sorted({self.factors[i] for i in with_gradient}):
            self._step([i for i in with_gradient if self.factors[i] == factor], self.lr * factor)

    def _step(self, moved: list[int], lr: float) -> None:
        buffers = [self.buffers[i] for i in moved]
        sgd(
            [self.parameters[i].data for i in moved],
            [self.parameters[i].grad for i in moved],
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
