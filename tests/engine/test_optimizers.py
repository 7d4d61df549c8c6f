import copy

import torch
from torch import nn

from das.engine.optimizers import SGD


def test_sgd_takes_the_steps_of_torch_also_after_a_resume():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    unused = nn.Linear(2, 2)  # has no gradient: must stay as it is
    theirs, unused_before = copy.deepcopy(ours), copy.deepcopy(unused)
    settings = {"lr": 0.3, "momentum": 0.9, "weight_decay": 5e-3}
    sgd = SGD([*ours.parameters(), *unused.parameters()], **settings)
    reference = torch.optim.SGD([*theirs.parameters()], **settings)
    for step in range(6):
        if step == 3:
            state = copy.deepcopy(sgd.state_dict())
            sgd = SGD([*ours.parameters(), *unused.parameters()], **settings)
            sgd.load_state_dict(state)
        sgd.lr = reference.param_groups[0]["lr"] = 0.3 / (step + 1)
        x, y = torch.randn(8, 5), torch.randn(8, 3)
        for network, optimizer in ((ours, sgd), (theirs, reference)):
            optimizer.zero_grad()
            (network(x) - y).square().mean().backward()
            optimizer.step()
    for a, b in zip(
        [*ours.parameters(), *unused.parameters()], [*theirs.parameters(), *unused_before.parameters()], strict=True
    ):
        assert torch.equal(a, b)
