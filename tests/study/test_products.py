"""What a study's tables and figures are called: rules declare these files, and the commands write them."""

from pathlib import Path

import pytest

from das.study import load_study, products

ROOT = Path(__file__).parents[2]
ALWAYS = ["overview", "accuracy", "compute", "curves"]


def _with(study, **grid):
    return study.model_copy(update={"study": study.study.model_copy(update=grid)})


@pytest.mark.parametrize(
    ("selections", "drawn"),
    [
        (["argmax"], ["alpha"]),
        (["perturbation"], ["alpha"]),
        (["tournament"], ["tournaments"]),
        (["argmax", "tournament"], ["alpha", "tournaments"]),
    ],
)
def test_figures_follow_from_how_searches_select(selections, drawn):
    policies = [f"policy{number}" for number in range(len(selections))]
    quick = load_study([ROOT / "params.yaml"])
    study = _with(quick, methods=["baseline", *policies], seeds=[0, 2])
    for policy, selection in zip(policies, selections, strict=True):
        study.searches[policy] = quick.searches["fast"].model_copy(update={"selection": selection})
        study.policies[policy] = quick.policies["searched"].model_copy(update={"search": policy})
        study.methods[policy] = quick.methods["das"].model_copy(update={"policy": policy})
    strips = [f"film_strip_fashion_mnist_resnet8_{policy}_seed{seed}" for policy in policies for seed in (0, 2)]
    assert products.figures_of(study) == [*ALWAYS, *drawn, *strips]


def test_a_study_without_searches_draws_no_policy():
    study = _with(load_study([ROOT / "params.yaml"]), methods=["baseline"])
    assert products.figures_of(study) == ALWAYS


@pytest.mark.parametrize(
    ("layers", "tables"),
    [
        ([], ["accuracy", "search", "search_cost", "cost"]),  # of the embedded tenth nobody published anything
        (["config/paper.yaml"], ["accuracy", "published", "search", "search_cost", "cost"]),
        (["config/segmentation.yaml"], ["segmentation", "search", "class_iou"]),
        (
            ["config/rivals.yaml", "config/planted.yaml"],
            ["accuracy", "search", "search_cost", "cost", "planted"],
        ),
    ],
)
def test_tables_are_those_of_the_task_and_of_planted_nuisances(layers, tables):
    study = load_study([ROOT / name for name in ("params.yaml", *layers)])
    assert products.tables_of(study) == tables
