"""The rate of every step, against torch's own schedulers stepped once a batch."""

import pytest
import torch
from torch.optim import lr_scheduler

from das.engine.lr_schedules import learning_rate
from das.study.schema import Recipe

BATCHES, EPOCHS = 7, 12
STEPS = BATCHES * EPOCHS


def rates(epochs=EPOCHS, **settings):
    """As a training asks for them."""
    recipe = Recipe(epochs=EPOCHS, batch_size=10, lr=0.4, **settings)
    return [
        learning_rate(recipe, epochs, epoch + step / BATCHES, 1 / BATCHES)
        for epoch in range(epochs)
        for step in range(BATCHES)
    ]


def torchs(scheduler, count=STEPS, **settings):
    sgd = torch.optim.SGD([torch.zeros(1)], 0.4)
    schedule = scheduler(sgd, **settings)
    found = []
    for _ in range(count):
        found.append(schedule.get_last_lr()[0])
        sgd.step()
        schedule.step()
    return found


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (rates(schedule="cosine"), torchs(lr_scheduler.CosineAnnealingLR, T_max=STEPS)),
        (rates(schedule="poly", poly_power=0.9), torchs(lr_scheduler.PolynomialLR, total_iters=STEPS, power=0.9)),
        (
            rates(schedule="step", step_epochs=3, step_factor=0.2),
            torchs(lr_scheduler.StepLR, step_size=3 * BATCHES, gamma=0.2),
        ),
        (
            rates(schedule="step", step_epochs=3, step_factor=0.2, epochs=4 * EPOCHS),  # an equal-compute control's
            torchs(lr_scheduler.StepLR, 4 * STEPS, step_size=12 * BATCHES, gamma=0.2),
        ),
        (rates(schedule="constant"), [0.4] * STEPS),
    ],
    ids=["cosine", "poly", "step", "stretched", "constant"],
)
def test_step_i_of_n_has_the_rate_at_i(ours, theirs):
    assert ours == pytest.approx(theirs)
    assert ours[0] == 0.4
    assert min(ours) > 0


def test_a_warm_up_ends_at_the_whole_rate_and_the_fall_begins_there():
    """Bag of tricks: of m steps of warm-up the i-th, from 1, has i / m of the rate."""
    found = rates(schedule="cosine", warmup_epochs=2)
    warm = 2 * BATCHES
    assert found[:warm] == pytest.approx([0.4 * i / warm for i in range(1, warm + 1)])
    assert found[warm:] == pytest.approx(torchs(lr_scheduler.CosineAnnealingLR, STEPS - warm, T_max=STEPS - warm))


def test_a_warm_up_that_ends_within_an_epoch_never_exceeds_the_rate():
    found = rates(schedule="constant", warmup_epochs=1.5)
    assert found[:10] == pytest.approx([0.4 * i / (1.5 * BATCHES) for i in range(1, 11)])
    assert found[10:] == pytest.approx([0.4] * (STEPS - 10))
