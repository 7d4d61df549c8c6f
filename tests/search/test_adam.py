import torch

from das.engine.optimizers import Adam


def draw(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_step_for_step_as_torchs_own():
    ours, theirs = ([torch.nn.Parameter(draw(3, 4, seed=0)), torch.nn.Parameter(draw(2, seed=1))] for _ in range(2))
    adam = Adam(ours, lr=0.01, betas=(0.5, 0.999), weight_decays=[0.1, 0.0])
    reference = torch.optim.Adam(
        [{"params": [theirs[0]], "weight_decay": 0.1}, {"params": [theirs[1]]}], lr=0.01, betas=(0.5, 0.999)
    )
    for step in range(5):
        gradients = [draw(3, 4, seed=10 + step), draw(2, seed=20 + step)]
        adam.step(gradients)
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        reference.step()
    torch.testing.assert_close(ours, theirs)


def test_a_restored_state_goes_on_alike():
    first, second = ([torch.nn.Parameter(draw(3, seed=0))] for _ in range(2))
    settings = {"lr": 0.1, "betas": (0.9, 0.999), "weight_decays": [0.0]}
    straight, stopped = Adam(first, **settings), Adam(second, **settings)
    for step in range(4):
        if step == 2:
            state = stopped.state_dict()
            stopped = Adam(second, **settings)
            stopped.load_state_dict(state)
        for adam in (straight, stopped):
            adam.step([draw(3, seed=step)])
    torch.testing.assert_close(first, second, rtol=0, atol=0)
