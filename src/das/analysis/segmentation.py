"""Segmentation's tables."""

from pathlib import Path

import pandas as pd

from das.analysis.results import standing
from das.analysis.statistics import estimate
from das.analysis.tables import CAPTION, NOT_RUN, accuracy_table, readable_accuracy, write_searches
from das.analysis.written import PLACE, write
from das.files import read_json
from das.study.runs import of_method
from das.study.schema import Study

EXTRAS = ("pixel_accuracy", "boundary_iou", "boundary_iou_published")


def segmentation_table(study: Study) -> pd.DataFrame:
    """`das.analysis.tables.accuracy_table` with mIoU as what counts, and more scores of the last epoch, in percent.

    `consensus` says how frames were fused; `pixel_accuracy` and `boundary_iou` are means over seeds, with `..._ci95`
    half-widths.
    """
    table = accuracy_table(study)
    table.columns = [column.replace("accuracy", "miou") for column in table.columns]
    scores = [_scores(study, dataset, backbone, row) for dataset, backbone, row in _cells(study)]
    table.insert(table.columns.get_loc("name") + 1, "consensus", [score.pop("consensus") for score in scores])
    return pd.concat([table, pd.DataFrame(scores)], axis=1)


def _cells(study: Study):
    grid = study.study
    return [(d, b, m) for d in grid.datasets for b in grid.backbones for m in grid.methods]


def _last_tests(study: Study, dataset: str, backbone: str, method: str) -> list[dict]:
    """What the tests of the cell's seeds found, of those that were run and can stand."""
    runs = [of_method(study, dataset, backbone, method, seed) for seed in study.study.seeds]
    return [read_json(run.number)["last"] for run in runs if standing(run)[0]]


def _scores(study: Study, dataset: str, backbone: str, method: str) -> dict:
    tests = _last_tests(study, dataset, backbone, method)
    row = {"consensus": of_method(study, dataset, backbone, method, study.study.seeds[0]).consensus}
    for name in EXTRAS:
        score = estimate([100 * test[name] for test in tests if test.get(name) is not None])
        row |= {name: score.mean, f"{name}_ci95": score.half_width}
    return row


def class_iou_table(study: Study) -> pd.DataFrame:
    """IoU in percent of each class for each data set, backbone and method of the grid: mean over the seeds in which the
    class has one, and the half-width of its 95 % interval. No rows for what was not run."""
    columns = ["dataset", "backbone", "method", "name", "class", "seeds", "iou", "iou_ci95"]
    rows = []
    for dataset, backbone, method in _cells(study):
        tests = _last_tests(study, dataset, backbone, method)
        for label in dict.fromkeys(label for test in tests for label in test["class_iou"]):
            found = [test["class_iou"].get(label) for test in tests]
            score = estimate([100 * value for value in found if value is not None])
            titles = study.datasets[dataset].title, study.backbones[backbone].title, study.methods[method].title
            rows.append([*titles, method, label, score.count, score.mean, score.half_width])
    return pd.DataFrame(rows, columns=columns)


def readable_class_iou(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """IoU by class as people read it: a row a class, a column a method."""
    means = {
        (*place, method): f"{iou:.2f}" if iou == iou else "-"
        for *place, method, iou in table[["dataset", "backbone", "class", "method", "iou"]].itertuples(index=False)
    }
    places = list(dict.fromkeys(cell[:-1] for cell in means))
    titles = [study.methods[name].title for name in study.study.methods]
    head = {name: [place[at] for place in places] for at, name in enumerate(("Data set", "Backbone", "Class"))}
    return pd.DataFrame(head | {title: [means.get((*place, title), NOT_RUN) for place in places] for title in titles})


def readable_segmentation(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The segmentation table as people read it: intervals beside means, what was not run named."""
    main = table.rename(columns=lambda column: column.replace("miou", "accuracy"))
    readable = readable_accuracy(study, main).rename(columns={"Accuracy, %": "mIoU, %"})
    readable.insert(3, "Consensus", table.consensus.where(table.frames != 1, "").str.replace("_", " "))
    at = readable.columns.get_loc("Frames")
    titles = ("Pixel accuracy, %", "Boundary IoU, %", "Boundary IoU, published order, %")
    for place, (name, title) in enumerate(zip(EXTRAS, titles, strict=True)):
        values = [f"{value:.2f}" if value == value else NOT_RUN for value in table[name]]
        readable.insert(at + place, title, values)
    return readable


def write_tables(study: Study, folder: Path) -> None:
    """Write `segmentation`, `class_iou` and `search` into ``folder``, each as `das.analysis.written`."""
    table, classes = segmentation_table(study), class_iou_table(study)
    reference = study.methods[study.study.reference].title
    write(
        folder / "segmentation",
        table,
        readable_segmentation(study, table),
        caption=CAPTION.format(score="mIoU", reference=reference),
        short=(*PLACE, "Method", "Seeds", "mIoU, %", f"Against {reference}", "Noise", "p (Holm)"),
    )
    by_class = readable_class_iou(study, classes)
    write(
        folder / "class_iou",
        classes,
        by_class,
        caption="Test IoU of each class after the last epoch, in percent: means over seeds.",
        short=by_class.columns[:8],
    )
    write_searches(study, folder)
