"""The command line. Snakemake's rules call it, and so can people."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from das.errors import DasError

app = typer.Typer(
    name="das",
    help="Differentiable Augmentation Search: search policies, train networks on the videos they make, compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
store = typer.Typer(help="Finished work, kept under the digest of all it depends on (docs/store.md).")
benchmark = typer.Typer(help="Which search finds good policies? (docs/policy_benchmark.md)")
app.add_typer(store, name="store", no_args_is_help=True)
app.add_typer(benchmark, name="benchmark", no_args_is_help=True)

StudyFiles = Annotated[
    list[Path],
    typer.Option("--study", "-c", envvar="DAS_STUDY", help="Study file; later ones are layered over earlier ones."),
]
Dataset = Annotated[str, typer.Argument(help="A name from the study's `datasets`.")]
Backbone = Annotated[str, typer.Argument(help="A name from the study's `backbones`.")]
Method = Annotated[str, typer.Argument(help="A name from the study's `methods`.")]
Seed = Annotated[int, typer.Option(min=0, help="Everything random derives from it and from the names.")]
Afresh = Annotated[
    bool, typer.Option("--afresh", envvar="DAS_AFRESH", help="Make it again, even where it is there or in the store.")
]
PARAMS = [Path("params.yaml")]
BEST_POLICY, BEST_METHOD = "one_edge", "das_one_edge"  # what measured best: docs/policy_benchmark.md
DEFAULT_BACKBONES = ["resnet20", "mobilenet_v2", "resnet18_cifar"]
DEFAULT_FUSIONS = ["none", "tsm", "gsm", "gsf", "gst"]
DEFAULT_FRAMES = [8]


def _images(study, dataset: str):
    from das import data

    return data.of_study(study, dataset)


def _pictures(study, dataset: str):
    """Three training images of the data set, (3, C, H, W) in [0, 1], to show things on."""
    import torch

    from das.data.batches import Batches

    images = _images(study, dataset).train
    pictures, _ = next(Batches(images.subset(torch.arange(3)), batch_size=3).epoch())
    return pictures


def _policy(run):
    from das.video.policy import Policy

    return Policy.load(run.made_by.main) if run.made_by else None


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
def describe(dataset: Dataset, study_files: StudyFiles = PARAMS):
    """Measure mean and standard deviation of a data set's training images, once for all runs.

    Writes results/data/STUDY/DATASET.json, with the names of the classes, the number of images, their shape and digest.
    Searches and trainings read it, and write it where it is not there.

    Example: das describe fashion_mnist
    """
    from das.study import load_study

    images = _images(load_study(study_files), dataset)
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
            search_policy(run, _images(study, dataset))
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

        train(run, _images(study, dataset), _policy(run))
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

        evaluate_run(run, _images(study, dataset), _policy(run))
    print(run.main)


@app.command()
def tune(
    dataset: Dataset, backbone: Backbone, method: Method, study_files: StudyFiles = PARAMS, afresh: Afresh = False
):
    """Try the settings that the study's `tuning` lists for a method, on held-out training images.

    Writes results/tuning/STUDY/DATASET/BACKBONE/METHOD.json, every trial with its score, and the held-out indices.

    Example: das tune fashion_mnist resnet8 cutmix --study params.yaml --study config/competitors.yaml
    """
    from das.study import load_study, of_tuning, results

    study = load_study(study_files)
    run = of_tuning(study, dataset, backbone, method)
    if afresh or not results.take(run):
        from das.engine.tune import tune

        tune(run, _images(study, dataset), _policy(run.trial))
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


@app.command()
def tables(study_files: StudyFiles = PARAMS):
    """Write the study's tables to results/tables/STUDY as .csv, .md and .tex. What was not run says so."""
    from das.study import load_study
    from das.study.registry import Entry, lookup

    study = load_study(study_files)
    folder = Path("results/tables") / study.name
    Entry("tables", study.task, lookup("task", study.task).facts["write_tables"]).load()(study, folder)
    print(folder)


@app.command()
def figures(study_files: StudyFiles = PARAMS):
    """Draw the study's figures to results/figures/STUDY as .png and .pdf."""
    from das.analysis.figures import write_figures
    from das.study import load_study

    study = load_study(study_files)
    folder = Path("results/figures") / study.name
    write_figures(study, folder, {name: _pictures(study, name) for name in study.study.datasets})
    print(folder)


@app.command()
def predictions(dataset: Dataset, backbone: Backbone, method: Method, seed: Seed = 0, study_files: StudyFiles = PARAMS):
    """Draw what a segmentation network predicts from each frame, back in register with the image, and fused.

    Writes results/figures/STUDY/predictions_... as .png and .pdf, for three test images.

    Example: das predictions land_cover pspnet_resnet8 das --study params.yaml --study config/segmentation.yaml
    """
    from das.study import load_study, of_method

    study = load_study(study_files)
    run = of_method(study, dataset, backbone, method, seed)
    from das.analysis.segmentation import write_predictions

    print(write_predictions(run, _images(study, dataset), _policy(run)))


@app.command()
def receptive_fields(study_files: StudyFiles = PARAMS):
    """Draw, for each data set and backbone, where in the image a network looks: one frame, identical frames, each
    single operation, and the policy searched with the first seed. Writes to results/figures/STUDY, areas as .csv.
    """
    from das.study import load_study

    study = load_study(study_files)
    from das.analysis.receptive_field import write_receptive_fields

    folder = Path("results/figures") / study.name
    write_receptive_fields(study, folder, {name: _pictures(study, name) for name in study.study.datasets})
    print(folder)


@app.command()
def profile(
    backbones: Annotated[list[str], typer.Argument(help="Networks (names of das.models).")] = DEFAULT_BACKBONES,
    fusion: Annotated[list[str], typer.Option(help="Kinds of temporal fusion; may be repeated.")] = DEFAULT_FUSIONS,
    frames: Annotated[list[int], typer.Option(min=1, help="Frames of a video; may be repeated.")] = DEFAULT_FRAMES,
    size: Annotated[int, typer.Option(min=8, help="Side of the images, pixels.")] = 32,
    batch: Annotated[int, typer.Option(min=1, help="Videos in a step.")] = 8,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    output: Annotated[Path | None, typer.Option(help="Write the table here as CSV, too.")] = None,
):
    """What temporal fusion costs: parameters, FLOPs, time and memory of a training step, beside one frame and beside
    as many frames without fusion.

    Example: das profile resnet20 mobilenet_v2 --fusion tsm --fusion gsf --frames 4 --frames 8
    """
    from das.analysis.profile import PUBLISHED, profile
    from das.files import publish

    table = profile(backbones, fusion, frames, batch=batch, image_size=(3, size, size), device=device)
    print(table.to_markdown(index=False, floatfmt=".4g"))
    print("\ntime_vs_1: to one frame; time_vs_T, memory_vs_T: to as many frames without fusion.")
    for name in sorted(PUBLISHED.keys() & set(fusion)):
        print(f"Published of {name}: {PUBLISHED[name]}.")
    if output:
        publish(output, table.to_csv(index=False))


@app.command()
def equal_width(
    backbone: Backbone,
    frames: Annotated[int, typer.Option(min=1, help="Frames whose test it should cost.")] = 4,
    size: Annotated[int, typer.Option(min=8, help="Side of the images, pixels.")] = 32,
    channels: Annotated[int, typer.Option(min=1, help="Of the images.")] = 3,
    study_files: StudyFiles = PARAMS,
):
    """The width at which a backbone of the study tests one frame at the cost of several: operations are counted.

    Example: das equal-width resnet8 --frames 4 --size 28 --channels 1
    """
    from das.study import load_study
    from das.study.registry import lookup
    from das.study.runs import require

    study = load_study(study_files)
    require(study, backbones=backbone)
    net = study.backbones[backbone]
    options = lookup("network", net.network).complete(net.options)
    if "width" not in options:
        raise DasError(f"backbones.{backbone}.network: {net.network!r} has no option width; resnet8 and resnet20 have")
    from das.analysis.costs import equal_width

    width, cost = equal_width(net.network, options, frames, (channels, size, size))
    print(f"width {width}: {cost:.3f} times the operations of {frames} frames at width {options['width']}")


@app.command()
def show(
    policy: Annotated[Path, typer.Argument(help="A policy file.")],
    image: Annotated[Path, typer.Argument(help="Any picture that Pillow reads.")],
    output: Annotated[Path, typer.Argument(help="Where to write the film strip (.png and .pdf).")],
):
    """Show what a policy makes of an image, as a film strip.

    Example: das show results/policies/fashion_mnist/resnet8/searched/seed0.yaml photo.jpg strip.png
    """
    import numpy as np
    import torch
    from PIL import Image, UnidentifiedImageError

    from das.analysis.figures import film_strip, save_figure
    from das.video.policy import Policy

    made = Policy.load(policy)
    try:
        picture = np.asarray(Image.open(image).convert("RGB"))
    except (OSError, UnidentifiedImageError) as error:
        raise DasError(f"{image}: cannot be read as a picture ({error})") from None
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    save_figure(film_strip(made, pixels, made.describe()), output)
    print(output.with_suffix(".png"))


@store.command("list")
def store_list():
    """List what the store keeps: kind, identity, size, age, and the studies that use it."""
    from das.study.keeping import listing

    print(listing())


@store.command()
def verify():
    """Hash every file that the store keeps and name what is damaged. Exit status 1 if anything is."""
    from das.store import Store

    wrong = Store().verify()
    for what, why in wrong:
        print(f"{what}: {why}")
    print(f"{len(wrong)} damaged")
    raise typer.Exit(1 if wrong else 0)


@store.command()
def prune(
    study_files: StudyFiles = PARAMS,
    older_than: Annotated[float, typer.Option(min=0, help="Leave what was kept in the last DAYS.")] = 0,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise only say what would go.")] = False,
):
    """Remove what the present study does not use, nor what lies in results/ of another one.

    Example: das store prune --older-than 30 --yes
    """
    from das.study import load_study
    from das.study.keeping import prune

    print(prune(load_study(study_files), older_than, yes))


@benchmark.command()
def score(dataset: Dataset, backbone: Backbone, method: Method, seed: Seed = 0, study_files: StudyFiles = PARAMS):
    """Run a method's search on a part of the training images and score every policy of the bank with it.

    Writes results/policy_benchmark/STUDY/DATASET/BACKBONE/searches/....
    """
    from das.benchmark.searches import measure, run_of
    from das.study import load_study, results

    study = _benchmarked(load_study(study_files))
    run = run_of(study, dataset, backbone, method, seed)
    if not results.take(run):
        measure(study, run, _images(study, dataset))
    print(run.main)


@benchmark.command()
def retrain(dataset: Dataset, backbone: Backbone, study_files: StudyFiles = PARAMS):
    """Train the bank and every chosen policy with every training seed, and score them on held-out training images.

    Writes results/policy_benchmark/STUDY/DATASET/BACKBONE/policies.csv.
    """
    from das.benchmark import bank
    from das.benchmark.searches import chosen
    from das.study import load_study

    study = _benchmarked(load_study(study_files))
    bank.retrain(study, dataset, backbone, _images(study, dataset), chosen(study, dataset, backbone))


@benchmark.command("report")
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


def main() -> None:
    """Run the command line: errors that a user can act on are one line, without a traceback."""
    signal.signal(signal.SIGINT, _interrupted)
    try:
        app()
    except DasError as error:
        sys.exit(f"das: {error}")


def _interrupted(*_) -> None:
    sys.stderr.write("\ndas: interrupted; the same command continues from the last whole epoch\n")
    sys.exit(130)


if __name__ == "__main__":
    main()
