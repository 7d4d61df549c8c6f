"""What the competing augmentations add to a training step of a ResNet-18 at 32 x 32.

    uv run python -m benchmarks.augment [--batch 64] [--repetitions 5]

A whole step is timed relative to the plain one, and for objectives relative to CutMix's, as are its floating-point
operations (torch's counter) and the peak of memory that it adds; an augmentation by itself as a share of the plain
step.
"""

import argparse

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks._measure import fastest, peak_memory, write
from das import augment
from das.engine.optimizers import SGD
from das.study.schema import Architecture
from das.tasks.classification import DasModel

CLASSES = 10
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ENTRIES = [
    {"random_crop": {"padding": 4}},
    "random_flip",
    {"cutout": {"size": 16}},
    "random_erasing",
    "autoaugment",
    "randaugment",
    "trivialaugment_wide",
    "faster_autoaugment",
    {"yoco": {"augment": ["trivialaugment_wide"]}},
    {"temporal_resolution_decrement": {"fraction": 1.0}},
    "mixup",
    "cutmix",
]
OBJECTIVES = ["cutmix", "manifold_mixup", "patchmix", "patchmix_evolved", "automix"]


def name_of(entry) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


def training_step(entries: list, batch: int):
    """A function that takes one training step with the augmentations ``entries``."""
    torch.manual_seed(0)
    draws = torch.Generator().manual_seed(0)
    model = DasModel(
        Architecture(network="resnet18_cifar"), None, [str(i) for i in range(CLASSES)], [0.5] * 3, [0.25] * 3
    )
    objective = augment.build_objective(entries)(model, nn.CrossEntropyLoss()).to(DEVICE)
    optimizer = SGD([p for p in objective.parameters() if p.requires_grad], 0.01, 0.9, 5e-4)
    steps = [*(s.to(DEVICE) if isinstance(s, nn.Module) else s for s in augment.build(entries, CLASSES))]
    images, labels = torch.rand(batch, 3, 32, 32, device=DEVICE), torch.randint(CLASSES, (batch,), device=DEVICE)
    augment.start_epoch(steps, draws)
    objective.start_epoch(draws)

    def step():
        x, y = images, labels
        for augmentation in steps:
            x, y = augmentation(x, y, draws)
        optimizer.zero_grad()
        for loss in objective.losses(x, y, draws):
            loss.backward()
        optimizer.step()
        objective.after_step(0.5)

    return step


def augmentation(entry, batch: int):
    """A function that applies one augmentation to a batch, and nothing else."""
    draws = torch.Generator().manual_seed(0)
    (step,) = augment.build([entry], CLASSES)
    step = step.to(DEVICE) if isinstance(step, nn.Module) else step
    images, labels = torch.rand(batch, 3, 32, 32, device=DEVICE), torch.randint(CLASSES, (batch,), device=DEVICE)
    augment.start_epoch([step], draws)
    return lambda: step(images, labels, draws)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()

    own = fastest({name_of(e): augmentation(e, options.batch) for e in ENTRIES}, 4 * options.repetitions)
    runs = {"plain": [], **{name: [name] for name in OBJECTIVES}}
    steps = fastest({name: training_step(e, options.batch) for name, e in runs.items()}, options.repetitions)
    operations = {name: step_operations(entries, options.batch) for name, entries in runs.items()}
    memory = {name: step_memory(entries, options.batch) for name, entries in runs.items()}
    rows = []
    for whole, (name, seconds) in [(False, item) for item in own.items()] + [(True, item) for item in steps.items()]:
        rows.append({
            "augmentation": name,
            "kind": "whole step" if whole else "alone",
            "milliseconds": 1e3 * seconds,
            "share of plain step": seconds / steps["plain"],
            "step / cutmix": seconds / steps["cutmix"] if whole else "",
            "operations / cutmix": operations[name] / operations["cutmix"] if whole else "",
            "memory / cutmix": memory[name] / memory["cutmix"] if whole else "",
        })  # fmt: skip
    write("augment", f"Augmentations beside a ResNet-18 step at 32 x 32, batch {options.batch}", rows)


def step_operations(entries: list, batch: int) -> int:
    """Floating-point operations of one step."""
    step = training_step(entries, batch)
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def step_memory(entries: list, batch: int) -> float:
    """MiB that one step needs beyond what is there before it."""
    if DEVICE == "cpu":
        return peak_memory(training_step, entries, batch)
    step = training_step(entries, batch)
    step()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    step()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


if __name__ == "__main__":
    main()
