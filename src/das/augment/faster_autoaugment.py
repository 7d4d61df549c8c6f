"""Faster AutoAugment (Hataya et al. 2020; moskomule/dda): a policy found by gradient descent, the peer of the search
for videos.

Our own code from the definition: sub-policies of operations in a row, each a softmax mixture of all operations, every
operation with a probability (relaxed Bernoulli) and a magnitude; a critic tells augmented from untouched images
(Wasserstein distance with gradient penalty) and classifies both; the policy learns to be untold and classifiable.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from das.augment.base import SearchedAugmentation
from das.augment.draws import forked
from das.video import photometric
from das.video.warp import centers

BERNOULLI_TEMPERATURE = 0.1

#: Operations of a magnitude in [0, 1], (images (B, C, H, W), magnitudes (B, 1, 1, 1), signs of the same shape).
OPERATIONS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "shear_x": lambda x, m, sign: _warp(x, _matrix(xy=0.3 * m * sign)),
    "shear_y": lambda x, m, sign: _warp(x, _matrix(yx=0.3 * m * sign)),
    "translate_x": lambda x, m, sign: _warp(x, _matrix(x=0.45 * m * sign * x.shape[3])),
    "translate_y": lambda x, m, sign: _warp(x, _matrix(y=0.45 * m * sign * x.shape[2])),
    "rotate": lambda x, m, sign: _warp(x, _rotation(math.pi / 6 * m * sign)),
    "brightness": lambda x, m, sign: photometric.brightness(x, 1 + 0.9 * m * sign, 1),
    "saturation": lambda x, m, sign: photometric.saturation(x, 1 + 0.9 * m * sign, 1),
    "contrast": lambda x, m, sign: photometric.contrast(x, 1 + 0.9 * m * sign, 1),
    "sharpness": lambda x, m, sign: photometric.sharpness(x, 1 + 0.9 * m * sign, 1),
    "posterize": lambda x, m, sign: _passed(photometric.posterize(x, 4 * m.detach(), 1), m),
    "solarize": lambda x, m, sign: _passed(photometric.solarize(x, m.detach(), 1), m),
    "autocontrast": lambda x, m, sign: photometric.autocontrast(x, 1, 1),
    "equalize": lambda x, m, sign: photometric.equalize(x, 1, 1),
    "invert": lambda x, m, sign: 1 - x,
    "flip": lambda x, m, sign: x.flip(-1),
}


class FasterAutoAugment(SearchedAugmentation):
    """A learned policy; `search` learns it, calling it applies it.

    Each image is given one of ``sub_policies`` sub-policies by chance; each of its ``operations`` steps draws an
    operation from softmax(logits / temperature), and applies it with that operation's probability and magnitude.

    Args:
        epochs, batch_size, lr: of the search (Adam, betas 0 and 0.999, for critic and policy alike).
        images: training images that the search sees, drawn by chance.
        penalty: weight of the gradient penalty.
        class_weight: weight of the classification, of untouched images in the critic's loss and of augmented ones in
            the policy's.
    """

    def __init__(
        self,
        epochs: int = 20,
        sub_policies: int = 10,
        operations: int = 2,
        images: int = 4000,
        batch_size: int = 128,
        lr: float = 1e-3,
        temperature: float = 0.05,
        penalty: float = 10.0,
        class_weight: float = 0.1,
    ):
        super().__init__()
        self.epochs, self.images, self.batch_size, self.lr = epochs, images, batch_size, lr
        self.temperature, self.penalty, self.class_weight = temperature, penalty, class_weight
        shape = (sub_policies, operations, len(OPERATIONS))
        self.logits, self.probability, self.magnitude = (nn.Parameter(torch.zeros(shape)) for _ in range(3))

    @property
    def space_size(self) -> int:
        """The number of choices of operations; probabilities and magnitudes are continuous beside them."""
        return len(OPERATIONS) ** self.logits[..., 0].numel()

    def describe(self) -> str:
        """The likeliest operation of each step, with probability and magnitude."""
        best = self.logits.argmax(-1, keepdim=True)
        names = list(OPERATIONS)
        chosen = (values.gather(-1, best).squeeze(-1).tolist() for values in (self._probability(), self._magnitude()))
        return "; ".join(
            ", ".join(f"{names[o]} p {p:.2f} m {m:.2f}" for o, p, m in zip(*steps, strict=True))
            for steps in zip(best.squeeze(-1).tolist(), *chosen, strict=True)
        )

    def _probability(self) -> Tensor:
        return torch.sigmoid(self.probability)

    def _magnitude(self) -> Tensor:
        return torch.sigmoid(self.magnitude)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator) -> None:
        """Start from logits, probabilities and magnitudes drawn from U(0, 1)."""
        drawn = torch.rand(3, *self.logits.shape, generator=generator)
        self.logits.copy_(drawn[0])
        for parameter, value in ((self.probability, drawn[1]), (self.magnitude, drawn[2])):
            parameter.copy_(value.clamp(1e-6, 1 - 1e-6).logit())

    @torch.no_grad()
    def forward(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        count = len(images)
        logits, probability, magnitude = (x.cpu() for x in (self.logits, self._probability(), self._magnitude()))
        sub_policy = torch.randint(len(logits), (count,), generator=generator)
        images = images.clone()
        for step in range(logits.shape[1]):
            shares = (logits[sub_policy, step] / self.temperature).softmax(-1)
            drawn = torch.multinomial(shares, 1, generator=generator).squeeze(1)
            applied = torch.rand(count, generator=generator) < probability[sub_policy, step, drawn]
            signs, strengths = _signs(count, generator), magnitude[sub_policy, step, drawn].view(-1, 1, 1, 1)
            for index, operation in enumerate(OPERATIONS.values()):
                if (chosen := applied & (drawn == index)).any():
                    places = chosen.nonzero().flatten().to(images.device)
                    amounts = (values[chosen].to(images.device) for values in (strengths, signs))
                    images[places] = operation(images[places], *amounts)
        return images, labels

    def relaxed(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Images through the relaxed sub-policies, the next image through the next one; differentiable."""
        count = len(images)
        sub_policy = torch.arange(count, device=images.device) % len(self.logits)
        for step in range(self.logits.shape[1]):
            shares, magnitude, probability = (
                values[sub_policy, step].view(count, -1, 1, 1, 1)
                for values in ((self.logits / self.temperature).softmax(-1), self._magnitude(), self.probability)
            )
            noise = torch.rand(count, len(OPERATIONS), 1, 1, 1, generator=generator).clamp(1e-6, 1 - 1e-6)
            gate = torch.sigmoid((probability + noise.to(images.device).logit()) / BERNOULLI_TEMPERATURE)
            change = torch.zeros_like(images)
            for index, operation in enumerate(OPERATIONS.values()):
                signs = _signs(count, generator).to(images.device)
                moved = operation(images, magnitude[:, index], signs) - images
                change = change + shares[:, index] * gate[:, index] * moved
            images = images + change
        return images

    def search(
        self,
        epoch_of: Callable[[torch.Generator], Iterable[tuple[Tensor, Tensor]]],
        make_critic: Callable[[int], nn.Module],
        classes: int,
        generator: torch.Generator,
    ) -> None:
        self._draw(generator)
        with forked(generator):
            critic = make_critic(classes + 1)
            optimizer, policy_optimizer = (
                torch.optim.Adam(part.parameters(), lr=self.lr, betas=(0.0, 0.999)) for part in (critic, self)
            )
            critic.train()
            for _ in range(self.epochs):
                for images, labels in epoch_of(generator):
                    half = len(images) // 2
                    real, labels_real = images[:half], labels[:half]
                    source, labels_source = images[half : 2 * half], labels[half : 2 * half]
                    fake = self.relaxed(source, generator)

                    on_real, on_fake = critic(real), critic(fake.detach())
                    loss = on_fake[:, -1].mean() - on_real[:, -1].mean()
                    loss = loss + self.class_weight * F.cross_entropy(on_real[:, :-1], labels_real)
                    loss = loss + self.penalty * gradient_penalty(critic, real, fake.detach(), generator)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()

                    judged = critic(fake)
                    loss = self.class_weight * F.cross_entropy(judged[:, :-1], labels_source) - judged[:, -1].mean()
                    policy_optimizer.zero_grad()
                    loss.backward()
                    policy_optimizer.step()


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, generator: torch.Generator) -> Tensor:
    """Mean of (|gradient of the critic| - 1)^2 at random places between real and fake images (WGAN-GP)."""
    share = torch.rand(len(real), 1, 1, 1, generator=generator).to(real.device)
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(between)[:, -1].sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def _signs(count: int, generator: torch.Generator) -> Tensor:
    return torch.randint(2, (count, 1, 1, 1), generator=generator) * 2.0 - 1


def _passed(images: Tensor, magnitude: Tensor) -> Tensor:
    """Straight-through: operations that are steps in their magnitude pass the gradient on as if they added it."""
    return images + (magnitude - magnitude.detach())


def _matrix(xx=1.0, xy=0.0, x=0.0, yx=0.0, yy=1.0, y=0.0) -> list[list[Tensor | float]]:
    return [[xx, xy, x], [yx, yy, y]]


def _rotation(angle: Tensor) -> list[list[Tensor | float]]:
    return _matrix(angle.cos(), -angle.sin(), 0.0, angle.sin(), angle.cos(), 0.0)


def _warp(images: Tensor, rows: list[list[Tensor | float]]) -> Tensor:
    """Read each pixel at the affine map of its place about the center, bilinear, black outside. Differentiable, and
    without grid_sample, whose gradient is not deterministic on CUDA."""
    count, channels, height, width = images.shape
    x, y = centers(height, width, images.device).to(images.dtype).T.view(2, 1, 1, height, width)
    column, row = (
        ((a * x + b * y + c).expand(count, 1, height, width) + (side - 1) / 2).flatten(1)
        for (a, b, c), side in zip(rows, (width, height), strict=True)
    )
    left, top = column.detach().floor(), row.detach().floor()
    pixels, total = images.flatten(2), 0
    for right, below in ((0, 0), (1, 0), (0, 1), (1, 1)):
        at_column, at_row = left + right, top + below
        weight = (1 - (column - at_column).abs()) * (1 - (row - at_row).abs())
        inside = (at_column >= 0) & (at_column < width) & (at_row >= 0) & (at_row < height)
        index = (at_row.clamp(0, height - 1) * width + at_column.clamp(0, width - 1)).long()
        read = pixels.gather(2, index[:, None].expand(-1, channels, -1))
        total = total + read * (weight * inside)[:, None]
    return total.view_as(images)
