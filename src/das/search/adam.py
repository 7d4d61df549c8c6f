"""Adam on torch's functional form: the class torch.optim.Adam imports torch's compiler, seconds in every short job."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam


class Adam:
    """Step for step as torch.optim.Adam, with the gradients handed over and a weight decay for each parameter."""

    def __init__(
        self, parameters: Sequence[Tensor], lr: float, betas: tuple[float, float], weight_decays: Sequence[float]
    ):
        self.parameters = list(parameters)
        self.lr, self.betas, self.weight_decays = lr, betas, list(weight_decays)
        self.means = [torch.zeros_like(parameter.data) for parameter in self.parameters]
        self.squares = [torch.zeros_like(parameter.data) for parameter in self.parameters]
        self.steps = [torch.zeros(()) for _ in self.parameters]

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

    def state_dict(self) -> dict[str, Any]:
        """What a resumed search needs; the hyperparameters come from the study."""
        return {"means": self.means, "squares": self.squares, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for ours, saved in ((self.means, "means"), (self.squares, "squares"), (self.steps, "steps")):
            for tensor, value in zip(ours, state[saved], strict=True):
                tensor.copy_(value)
