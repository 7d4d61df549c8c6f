"""What methods cost, counted and not measured: parameters, operations of a test and of a training."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from das import tasks
from das.analysis import results
from das.analysis.profile import flops
from das.models import video_model
from das.seals import read_sealed
from das.study.augmentations import read
from das.study.results import card_path
from das.study.runs import EvaluationRun, MethodRun, frames, of_method
from das.study.schema import Study
from das.video.policy import Policy


def cost_table(study: Study) -> pd.DataFrame:
    """One row per data set, backbone and method of the grid, for one image.

    Columns: parameters (of all networks that a test asks); test_gflops, of the forward passes of a test, as torch
    counts them (2 a multiply-add; no element-wise operations); test and training, the latter of the runs that were
    made, as multiples of the reference's. NaN where a data set's card or a policy file's frames are not known.
    """
    trained = results.numbers(study).groupby(["dataset", "backbone", "method"], sort=False).train_frames.mean()
    rows = []
    for (dataset, backbone, method), train_frames in trained.items():
        counted = _counted(study, of_method(study, dataset, backbone, method, study.study.seeds[0]))
        rows.append({
            "dataset": study.datasets[dataset].title,
            "backbone": study.backbones[backbone].title,
            "method": study.methods[method].title,
            "name": method,
            **counted,
            "training": counted["frame_gflops"] * float("nan" if train_frames is None else train_frames),
        })  # fmt: skip
    table = pd.DataFrame(rows)
    references = table[table.name == study.study.reference].set_index(["dataset", "backbone"])
    for column, counted_in in (("test", "test_gflops"), ("training", "training")):
        against = [references[counted_in].get((d, b)) for d, b in zip(table.dataset, table.backbone, strict=True)]
        table[column] = table[counted_in] / pd.Series(against, dtype=float)
    return table.drop(columns="frame_gflops")


def readable_costs(table: pd.DataFrame) -> pd.DataFrame:
    """The cost table as people read it."""
    return pd.DataFrame({
        "Data set": table.dataset,
        "Backbone": table.backbone,
        "Method": table.method,
        "Parameters": _written(table.parameters, "{:,.0f}"),
        "Test, MFLOPs an image": _written(1e3 * table.test_gflops, "{:,.4g}"),
        "Test": _written(table.test, "{:.2g}x"),
        "Training": ["none" if times == 0 else text
                     for times, text in zip(table.training, _written(table.training, "{:.2g}x"), strict=True)],
    })  # fmt: skip


def _written(values: pd.Series, how: str) -> list[str]:
    return ["not known" if value != value else how.format(value) for value in values.astype(float)]


def _counted(study: Study, run: MethodRun) -> dict[str, float]:
    """Parameters and operations of what tests an image, and of the forward pass of a frame in training."""
    unknown = dict.fromkeys(("parameters", "test_gflops", "frame_gflops"), float("nan"))
    if isinstance(run, EvaluationRun) and run.how.ensemble_of:
        member = _counted(study, run.trained)
        return {key: value * (len(run.weights) if key != "frame_gflops" else 1) for key, value in member.items()}
    count, card = frames(study, run.how.policy), card_path(study, run.dataset, run.seed)
    if count is None or not Path(card).exists():
        return unknown
    facts = read_sealed(card)
    model = tasks.model(
        run.architecture.model_copy(update={"pretrained": False}),
        Policy.replicate(count),
        facts["classes"],
        facts["mean"],
        facts["std"],
    )
    once = flops(model.network, torch.zeros(1, count, *facts["shape"])) / 1e9
    copies = [entry.complete(options)["copies"] for entry, options in map(read, run.how.augment)
              if entry.facts.get("one_frame")]  # fmt: skip
    return {
        "parameters": float(sum(p.numel() for p in model.network.parameters())),
        "test_gflops": once * (copies[0] if copies else 1),
        "frame_gflops": once / count,
    }


def equal_width(
    network: str, options: Mapping[str, Any], frames: int, image: Sequence[int], classes: int = 10
) -> tuple[int, float]:
    """The option ``width`` at which ``network`` costs as much for one frame as for ``frames`` at its present width.

    Args:
        options: of the network, its ``width`` among them.
        image: (C, H, W).

    Returns the nearest width and what it costs, as a multiple of the frames' operations.
    """

    def cost(width: int) -> int:
        chosen = {**options, "width": width}
        model = video_model(network, classes, 1, in_channels=image[0], backbone_options=chosen)
        return flops(model, torch.zeros(1, 1, *image))

    width = int(options["width"])
    target = frames * cost(width)
    while cost(width) < target:
        width += 1
    nearest = min((width - 1, width), key=lambda w: abs(cost(w) - target)) if width > options["width"] else width
    return nearest, cost(nearest) / target
