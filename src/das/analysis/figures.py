"""The study's figures, each as PNG and PDF."""

from pathlib import Path

from torch import Tensor

from das.analysis import results
from das.analysis.charts import accuracy_against_compute, accuracy_by_method, training_curves
from das.analysis.overview import overview
from das.analysis.search_charts import alpha_over_time, tournaments
from das.analysis.strips import film_strip
from das.analysis.style import save_figure
from das.analysis.words import in_words
from das.study.registry import lookup
from das.study.schema import Study
from das.video.policy import Policy


def write_figures(study: Study, folder: Path, pictures: dict[str, Tensor]) -> None:
    """Write every figure of the study into ``folder``.

    Args:
        pictures: for each data set of the grid, a few images (N, C, H, W) in [0, 1] to show policies on.
    """
    save_figure(overview(study, pictures[study.study.datasets[0]]), folder / "overview")
    save_figure(accuracy_by_method(study), folder / "accuracy")
    save_figure(accuracy_against_compute(study), folder / "compute")
    save_figure(training_curves(study), folder / "curves")
    found = results.searches(study)
    shown: dict[str, list[dict]] = {}
    for search in found:
        rule = lookup("selection", search["history"]["selection"]["rule"])
        shown.setdefault(rule.facts.get("figure", "alpha"), []).append(search)
    for name, searches in shown.items():
        save_figure({"alpha": alpha_over_time, "tournaments": tournaments}[name](searches), folder / name)
    for search in found:
        name = f"film_strip_{search['dataset']}_{search['backbone']}_{search['policy']}_seed{search['seed']}"
        policy = Policy.load(search["path"])
        place = f"{study.datasets[search['dataset']].title}, {study.backbones[search['backbone']].title}"
        title = f"{search['policy']}, seed {search['seed']}: {in_words(policy)}. {place}"
        save_figure(film_strip(policy, pictures[search["dataset"]], title), folder / name)
