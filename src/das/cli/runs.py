"""`das fetch`, `check`, `describe`, `search`, `train`, `evaluate`, `tune`: what makes a study's runs."""

from pathlib import Path
from typing import Annotated

import typer

from das.cli.common import PARAMS, Afresh, Backbone, Dataset, Method, Seed, StudyFiles, from_here, images_of, policy_of
from das.errors import DasError

app = typer.Typer()
BEST_POLICY, BEST_METHOD = "one_edge", "das_one_edge"  # what measured best: docs/policy_benchmark.md


@app.command()
def fetch(dataset: Dataset, study_files: StudyFiles = PARAMS):
    """Download a data set, verify and prepare it; downloads resume. Where it needs a login, say what to put where.

    Example: das fetch cifar10 --study params.yaml --study config/paper.yaml
    """
    from das.data.download import fetch
    from das.data.prepared import prepare
    from das.study import load_study
    from das.study.runs import require

    study = load_study(study_files)
    require(study, datasets=dataset)
    settings = study.datasets[dataset]
    folder = Path(settings.folder)
    fetch(settings.reader, folder, overrides=settings.sources, optional=settings.options.get("augmented", False))
    print(prepare(settings.reader, folder))


@app.command()
def check(
    path: Annotated[
        Path, typer.Argument(callback=from_here, help="A folder or an archive of images, or of images and masks.")
    ],
    labels: Annotated[str | None, typer.Option(help="A CSV in it: file,label[,split]. By default labels.csv.")] = None,
    test_fraction: Annotated[float, typer.Option(min=0.01, max=0.99, help="Held out, without test images.")] = 0.2,
    sheet: Annotated[
        Path | None, typer.Option(callback=from_here, help="Write a picture of some images of each class here.")
    ] = None,
):
    """Look at every file of your own images before any study: how many of each class, what is ignored, what is damaged.
    Exit status 1 if anything would stop a training.

    Example: das check photos --sheet sheet.png
    """
    from das.data.check import check

    found = check(path, labels, test_fraction, sheet)
    print("\n".join([*found.lines, *(f"fault: {fault}" for fault in found.faults)]))
    print(f"{len(found.faults)} fault{'' if len(found.faults) == 1 else 's'}")
    raise typer.Exit(1 if found.faults else 0)


@app.command()
def describe(dataset: Dataset, seed: Seed = 0, study_files: StudyFiles = PARAMS):
    """Measure mean and standard deviation of a data set's training images (of splits, the seed's), once for all runs.

    Writes results/data/STUDY/DATASET.json (of splits, DATASET.splitN.json), with the names of the classes, the number
    of images, their shape and digest.
    Searches and trainings read it, and write it where it is not there.

    Example: das describe fashion_mnist
    """
    from das.study import load_study

    images = images_of(load_study(study_files), dataset, seed)
    mean, std = images.mean_std
    print(f"{images.card}: mean {mean}, standard deviation {std}")


@app.command()
def search(
    dataset: Dataset,
    backbone: Backbone,
    policy: Annotated[str, typer.Argument(help="A name from the study's `policies`.")] = BEST_POLICY,
    seed: Seed = 0,
    study_files: StudyFiles = PARAMS,
    afresh: Afresh = False,
):
    """Make a policy: by a search, or whatever source the study names for it. By default by the search that found the
    best policies when all were measured (docs/policy_benchmark.md); `searched` is the published one.

    Writes results/policies/STUDY/DATASET/BACKBONE/POLICY/seedN.yaml. An interrupted search continues where it stopped;
    a finished one is taken from the store.

    Example: das search fashion_mnist resnet8 searched --seed 0
    """
    from das.study import load_study, of_policy, results

    study = load_study(study_files)
    run = of_policy(study, dataset, backbone, policy, seed)
    if afresh or not results.take(run):
        from das.search.make import control_policy, search_policy

        if run.searches:
            search_policy(run, images_of(study, dataset, seed))
        else:
            control_policy(run)
    print(run.main)


@app.command()
def train(
    dataset: Dataset,
    backbone: Backbone,
    method: Method = BEST_METHOD,
    seed: Seed = 0,
    study_files: StudyFiles = PARAMS,
    afresh: Afresh = False,
):
    """Train and test a network from scratch; its policy must be there (see `das search`, whose default policy the
    default method uses).

    Writes results/checkpoints/STUDY/... and results/numbers/STUDY/.... An interrupted training continues where it
    stopped; a finished one is taken from the store.

    Example: das train fashion_mnist resnet8 das --seed 0
    """
    from das.study import load_study, of_method, results

    study = load_study(study_files)
    run = of_method(study, dataset, backbone, method, seed)
    if run.trained is not run:
        raise DasError(f"methods.{method}: trains nothing; use `das evaluate`")
    if afresh or not results.take(run):
        from das.engine.train import train

        train(run, images_of(study, dataset, seed), policy_of(run))
    print(run.main)


@app.command()
def evaluate(
    dataset: Dataset,
    backbone: Backbone,
    method: Method,
    seed: Seed = 0,
    study_files: StudyFiles = PARAMS,
    afresh: Afresh = False,
):
    """Test a method that has no weights of its own: another method's through its policy (`weights_of`), or several
    networks together (`ensemble_of`).

    Writes results/numbers/STUDY/....

    Example: das evaluate fashion_mnist resnet8 baseline_tta --seed 0
    """
    from das.study import load_study, of_method, results

    study = load_study(study_files)
    run = of_method(study, dataset, backbone, method, seed)
    if run.trained is run:
        raise DasError(
            f"methods.{method}: has weights of its own, tested by `das train`; evaluate needs weights_of or ensemble_of"
        )
    if afresh or not results.take(run):
        from das.engine.evaluate import evaluate_run

        evaluate_run(run, images_of(study, dataset, seed), policy_of(run))
    print(run.main)


@app.command()
def tune(
    dataset: Dataset, backbone: Backbone, method: Method, study_files: StudyFiles = PARAMS, afresh: Afresh = False
):
    """Try the settings that the study's `tuning` asks for with a method, on held-out training images. An interrupted
    tuning continues where it stopped.

    Writes results/tuning/STUDY/DATASET/BACKBONE/METHOD.json, every trial with its score, and the held-out indices.

    Example: das tune fashion_mnist resnet8 cutmix --study params.yaml --study config/competitors.yaml
    """
    from das.study import load_study, of_tuning, results

    study = load_study(study_files)
    run = of_tuning(study, dataset, backbone, method)
    if afresh or not results.take(run):
        from das.engine.tune import tune

        tune(run, images_of(study, dataset, run.seed), policy_of(run.trial))
    print(run.main)


@app.command()
def chosen_settings(study_files: StudyFiles = PARAMS):
    """Write the best settings of every tuned method to results/tuning/STUDY.yaml, to be layered over the study."""
    from das.study import load_study

    study = load_study(study_files)
    if not study.tuning:
        raise DasError("tuning: is missing; the study lists no settings to try (see config/competitors.yaml)")
    from das.engine.tune import write_chosen

    print(write_chosen(study))
