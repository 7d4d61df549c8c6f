"""The end of a classification network: pooling and the last linear layer."""

from torch import Tensor, nn
from torch.nn import functional as F


class Classifier(nn.Linear):
    """Dropout with probability ``dropout``, then a linear layer; its state is the linear layer's."""

    def __init__(self, in_features: int, num_classes: int, dropout: float):
        super().__init__(in_features, num_classes)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.dropout(x, self.dropout, self.training))


def replace_classifier(network: nn.Module, num_classes: int, dropout: float) -> None:
    """Give ``network`` a new last linear layer. ``dropout`` is the only dropout before it: the network's own is off."""
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    name, last = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]
    network.set_submodule(name, Classifier(last.in_features, num_classes, dropout))
