"""`das benchmark`: which search finds good policies?"""

import typer

from das.cli.common import PARAMS, Backbone, Dataset, Method, Seed, StudyFiles, images_of
from das.errors import DasError

app = typer.Typer(
    name="benchmark", help="Which search finds good policies? (docs/policy_benchmark.md)", no_args_is_help=True
)


@app.command()
def score(dataset: Dataset, backbone: Backbone, method: Method, seed: Seed = 0, study_files: StudyFiles = PARAMS):
    """Run a method's search on a part of the training images and score every policy of the bank with it.

    Writes results/policy_benchmark/STUDY/DATASET/BACKBONE/searches/....
    """
    from das.benchmark.searches import measure, run_of
    from das.study import load_study, results

    study = _benchmarked(load_study(study_files))
    run = run_of(study, dataset, backbone, method, seed)
    if not results.take(run):
        measure(study, run, images_of(study, dataset))
    print(run.main)


@app.command()
def retrain(dataset: Dataset, backbone: Backbone, study_files: StudyFiles = PARAMS):
    """Train the bank and every chosen policy with every training seed, and score them on held-out training images.

    Writes results/policy_benchmark/STUDY/DATASET/BACKBONE/policies.csv.
    """
    from das.benchmark import bank
    from das.benchmark.searches import chosen
    from das.study import load_study

    study = _benchmarked(load_study(study_files))
    bank.retrain(study, dataset, backbone, images_of(study, dataset), chosen(study, dataset, backbone))


@app.command("report")
def benchmark_report(study_files: StudyFiles = PARAMS):
    """Write the tables of the benchmark: what each search's score and choice are worth."""
    from das.benchmark.report import report
    from das.study import load_study

    print(report(_benchmarked(load_study(study_files))))


def _benchmarked(study):
    if not study.policy_benchmark:
        raise DasError(
            "policy_benchmark: is missing; the study measures no searches (see config/policy_benchmark.yaml)"
        )
    return study
