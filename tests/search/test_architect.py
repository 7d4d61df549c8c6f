import torch
from torch.nn import functional as F

from das.engine.optimizers import SGD
from das.search.architect import first_order, second_order

LR, MOMENTUM, DECAY = 0.3, 0.9, 0.05


def draw(*shape, seed):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def stepped(parameters, gradients):
    """An SGD that has already taken a step, so that its momentum is not empty."""
    optimizer = SGD(parameters, LR, MOMENTUM, DECAY)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    optimizer.step()
    return optimizer


class Quadratic:
    """L_train = |w - A alpha|^2 / 2 and L_val = |w - b|^2 / 2 + |alpha|^2, chosen by the 'batch'."""

    def __init__(self):
        self.matrix, self.target = draw(4, 3, seed=0), draw(4, seed=1)
        self.alpha = draw(3, seed=2).requires_grad_()
        self.weight = draw(4, seed=3).requires_grad_()
        self.optimizer = stepped([self.weight], [draw(4, seed=4)])

    def loss(self, batch, weights):
        (weight,) = [self.weight] if weights is None else weights
        if batch == "training":
            value = (weight - self.matrix @ self.alpha).square().sum() / 2
        else:
            value = (weight - self.target).square().sum() / 2 + self.alpha.square().sum()
        return value, torch.zeros(())

    def unrolled(self):
        weight, alpha = self.weight.detach(), self.alpha.detach()
        gradient = weight - self.matrix @ alpha + DECAY * weight
        return weight - LR * (gradient + MOMENTUM * self.optimizer.buffers[0])


def test_first_order_is_the_plain_gradient():
    toy = Quadratic()
    (gradient,), loss, _ = first_order(toy.loss, [toy.alpha], "validation")
    torch.testing.assert_close(gradient, 2 * toy.alpha.detach())
    torch.testing.assert_close(loss, toy.loss("validation", None)[0].detach())


def test_second_order_has_the_closed_form_of_a_quadratic():
    toy = Quadratic()
    (gradient,), loss, _ = second_order(toy.loss, [toy.alpha], toy.optimizer, "training", "validation")
    beyond = toy.unrolled() - toy.target
    torch.testing.assert_close(gradient, 2 * toy.alpha.detach() + LR * toy.matrix.T @ beyond)
    torch.testing.assert_close(loss, beyond.square().sum() / 2 + toy.alpha.detach().square().sum())


def test_second_order_agrees_with_autograd_through_the_step():
    """A mixture of inputs into a two-layer network, against the gradient through the graph of the unrolled step."""
    alpha = draw(3, seed=0).requires_grad_()
    weights = [draw(5, 4, seed=1).requires_grad_(), draw(3, 5, seed=2).requires_grad_()]
    optimizer = stepped(weights, [draw(5, 4, seed=3), draw(3, 5, seed=4)])
    training, validation = ((draw(3, 8, 4, seed=seed), torch.arange(8) % 3) for seed in (5, 6))

    def loss(batch, replaced):
        (inputs, labels), (first, second) = batch, weights if replaced is None else replaced
        hidden = torch.tanh((alpha.softmax(0)[:, None, None] * inputs).sum(0) @ first.T)
        return F.cross_entropy(hidden @ second.T, labels), torch.zeros(())

    gradients = torch.autograd.grad(loss(training, weights)[0], weights, create_graph=True)
    moved = [
        w - LR * (g + DECAY * w + MOMENTUM * b) for w, g, b in zip(weights, gradients, optimizer.buffers, strict=True)
    ]
    (exact,) = torch.autograd.grad(loss(validation, moved)[0], [alpha])
    (found,), _, _ = second_order(loss, [alpha], optimizer, training, validation)
    (plain,), _, _ = first_order(loss, [alpha], validation)

    assert (found - exact).norm() < 1e-3 * exact.norm()
    assert (plain - exact).norm() > 0.1 * exact.norm()  # the toy tells the two orders apart


def test_second_order_looks_where_the_optimizer_goes_and_changes_nothing():
    toy = Quadratic()
    before = toy.weight.clone(), toy.optimizer.buffers[0].clone()
    _, promised, _ = second_order(toy.loss, [toy.alpha], toy.optimizer, "training", "validation")
    torch.testing.assert_close((toy.weight, toy.optimizer.buffers[0]), before, rtol=0, atol=0)

    toy.weight.grad = torch.autograd.grad(toy.loss("training", None)[0], [toy.weight])[0]
    toy.optimizer.step()
    torch.testing.assert_close(toy.loss("validation", None)[0].detach(), promised)


def test_second_order_where_the_held_out_loss_does_not_depend_on_the_weights():
    toy = Quadratic()

    def loss(batch, weights):
        value, accuracy = toy.loss("training", weights)
        return (value if batch == "training" else 0 * value + toy.alpha.square().sum()), accuracy

    (gradient,), _, _ = second_order(loss, [toy.alpha], toy.optimizer, "training", "validation")
    torch.testing.assert_close(gradient, 2 * toy.alpha.detach())
