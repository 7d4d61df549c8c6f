"""Tasks: what a network is trained for. Each names its model, loss, score and the tables that compare methods.

Importing the package costs no torch.
"""

from collections.abc import Sequence

from das.study import registry
from das.study.schema import Architecture


def model(architecture: Architecture, policy, classes: Sequence[str], mean: Sequence[float], std: Sequence[float]):
    """The model (`das.tasks.classification.DasModel` or a task's own) that ``architecture`` describes, with weights
    drawn from torch's global generator."""
    return registry.lookup("task", architecture.task).load()(architecture, policy, classes, mean, std)
