"""`das tables`, `figures` and others that show what a study found."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from das.cli.common import PARAMS, Backbone, Dataset, Method, Seed, StudyFiles, from_here, images_of, policy_of
from das.errors import DasError

app = typer.Typer()
DEFAULT_BACKBONES = ["resnet20", "mobilenet_v2", "resnet18_cifar"]
DEFAULT_FUSIONS = ["none", "tsm", "gsm", "gsf", "gst"]
DEFAULT_FRAMES = [8]
SHOWN_SIDE = 512  # pixels: larger pictures are made smaller before they are shown


@app.command()
def tables(study_files: StudyFiles = PARAMS):
    """Write the study's tables to results/tables/STUDY as .csv, .md and .tex. What was not run says so."""
    from das.study import load_study, products
    from das.study.registry import Entry, lookup

    study = load_study(study_files)
    with products.making(study, "tables") as folder:
        Entry("tables", study.task, lookup("task", study.task).facts["write_tables"]).load()(study, folder)
    print(folder)


@app.command()
def summary(study_files: StudyFiles = PARAMS):
    """Write the study's scores, losses and entropies of alpha to results/summary/STUDY, in the small files that DVC
    shows as metrics and plots (docs/dvc.md)."""
    from das.analysis.summary import write_summary
    from das.study import load_study, products

    study = load_study(study_files)
    with products.making(study, "summary") as folder:
        write_summary(study, folder)
    print(folder)


@app.command()
def record(study_files: StudyFiles = PARAMS):
    """Append the study's finished runs to docs/results/recorded/STUDY.csv, from which its tables are made elsewhere
    without training: numbers, policies, trials and run records, no checkpoints.

    Example: das record --study params.yaml --study config/small_data.yaml
    """
    from das.study import load_study, recorded

    study = load_study(study_files)
    print(f"{recorded.path_of(study)}: {recorded.append(study)} runs more")


@app.command()
def results(
    study_files: StudyFiles = PARAMS,
    register: Annotated[
        bool, typer.Option("--register", help="Add the study's numbers to the register first.")
    ] = False,
    compare: Annotated[
        tuple[str, str],
        typer.Option(
            metavar="A B", help="Two studies, commits, code fingerprints, devices, versions of torch or dates."
        ),
    ] = ("", ""),
    output: Annotated[
        Path | None, typer.Option(callback=from_here, help="Write the comparison here as .csv, .md and .png, too.")
    ] = None,
):
    """The register of results, docs/results/register.csv: every recorded number, dated, append-only.

    Example: das results --register --compare 953a93471d75 1a2b3c4d5e6f --output results/moved
    """
    from das.analysis import moved
    from das.analysis import register as numbers
    from das.files import publish
    from das.study import load_study

    if register:
        print(f"{numbers.append(load_study(study_files))} numbers more")
    lines = numbers.read()
    print(f"{numbers.REGISTER}: {len(lines)} numbers of {len({line['study'] for line in lines})} studies")
    if any(compare):
        table = moved.moved(*(moved.chosen(lines, name) for name in compare))
        print(moved.readable(table))
        if output:
            publish(output.with_suffix(".csv"), table.to_csv(index=False))
            publish(output.with_suffix(".md"), moved.readable(table) + "\n")
            publish(output.with_suffix(".png"), moved.picture(table, *compare))


@app.command()
def claims(
    pages: Annotated[list[Path] | None, typer.Argument(callback=from_here, help="Markdown files.")] = None,
    write: Annotated[bool, typer.Option("--write", help="Put the numbers and tables as they are now.")] = False,
):
    """Hold each number that pages say against the stored one; without PAGES, the README's and those of docs/results.

    Prints what no longer holds, with its sentence, and what is not checked. Exit status 1 if anything does not hold.
    How a page says where its numbers come from: CONTRIBUTING.md.
    """
    from das.analysis import claims
    from das.files import publish

    checked = {page: claims.check(page) for page in pages or claims.pages()}
    for page, found in checked.items():
        print("\n".join([*found.faults, *(f"not checked: {place}" for place in found.unchecked)]) or f"{page}: holds")
        if write:
            publish(page, found.text)
    faults = sum(len(found.faults) for found in checked.values())
    print(f"{sum(found.held for found in checked.values())} claims hold, {faults} do not")
    raise typer.Exit(1 if faults else 0)


@app.command()
def figures(study_files: StudyFiles = PARAMS):
    """Draw the study's figures to results/figures/STUDY as .png and .pdf."""
    from das.analysis.figures import write_figures
    from das.study import load_study, products

    study = load_study(study_files)
    with products.making(study, "figures") as folder:
        write_figures(study, folder, {name: _pictures(study, name) for name in study.study.datasets})
    print(folder)


@app.command()
def report(study_files: StudyFiles = PARAMS):
    """Write the study as one page of HTML, whole by itself, to results/report/STUDY.html: the answer in words, tables
    and figures that are there, policies in motion, settings, versions, time.
    """
    from das.report.page import write_page
    from das.study import load_study

    study = load_study(study_files)
    pictures = {}
    for name in study.study.datasets:
        try:
            pictures[name] = _pictures(study, name)
        except DasError as error:
            print(f"{error}; the page shows no policy on {name}", file=sys.stderr)
    print(write_page(study, pictures))


@app.command()
def crate(
    study_files: StudyFiles = PARAMS,
    checkpoints: Annotated[
        bool, typer.Option("--checkpoints", help="Put weights into it, too, not only their names.")
    ] = False,
):
    """Write the study as a Workflow Run RO-Crate to results/crate/STUDY.zip: workflow, settings, policies, numbers, run
    records, tables, figures, a reproducibility checklist, and how each was made (docs/crate.md).

    What cannot stand is left out and named.
    """
    from das.report.crate import write_crate
    from das.study import load_study

    path, left_out = write_crate(load_study(study_files), study_files, checkpoints)
    print("\n".join([*(f"left out: {why}" for why in left_out), str(path)]))


@app.command()
def predictions(dataset: Dataset, backbone: Backbone, method: Method, seed: Seed = 0, study_files: StudyFiles = PARAMS):
    """Draw what a segmentation network predicts from each frame, back in register with the image, and fused.

    Writes results/figures/STUDY/predictions_... as .png and .pdf, for three test images.

    Example: das predictions land_cover pspnet_resnet8 das --study params.yaml --study config/segmentation.yaml
    """
    from das.study import load_study, of_method

    study = load_study(study_files)
    run = of_method(study, dataset, backbone, method, seed)
    from das.analysis.predictions import write_predictions

    print(write_predictions(run, images_of(study, dataset, seed), policy_of(run)))


@app.command()
def receptive_fields(study_files: StudyFiles = PARAMS):
    """Draw, for each data set and backbone, where in the image a network looks: one frame, identical frames, each
    single operation, and the policy searched with the first seed. Writes to results/figures/STUDY, areas as .csv.
    """
    from das.study import load_study, products

    study = load_study(study_files)
    from das.analysis.receptive_field_figure import write_receptive_fields

    with products.making(study, "receptive_fields") as folder:
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
    output: Annotated[Path | None, typer.Option(callback=from_here, help="Write the table here as CSV, too.")] = None,
):
    """What temporal fusion costs: parameters, FLOPs, time and memory of a training step, beside one frame and beside
    as many frames without fusion.

    Example: das profile resnet20 mobilenet_v2 --fusion tsm --fusion gsf --frames 4 --frames 8
    """
    from das.analysis.profile import PUBLISHED, profile
    from das.engine.device import require_device
    from das.files import publish

    require_device(device, "--device")
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
    policy: Annotated[Path, typer.Argument(callback=from_here, help="A policy file.")],
    image: Annotated[Path, typer.Argument(callback=from_here, help="Any picture that Pillow reads.")],
    output: Annotated[
        Path, typer.Argument(callback=from_here, help="A film strip (.png, .pdf, .svg), or an animation (.gif).")
    ],
):
    """Show what a policy makes of an image: its frames, and what was done to each.

    Example: das show results/policies/quickstart/fashion_mnist/resnet8/searched/seed0.yaml photo.jpg strip.png
    """
    import numpy as np
    import torch
    from PIL import Image, ImageOps, UnidentifiedImageError

    from das.analysis.strips import animation, film_strip
    from das.analysis.style import check_suffix, save_figure
    from das.analysis.words import in_words
    from das.files import publish
    from das.video.policy import Policy

    check_suffix(output, ".gif")
    made = Policy.load(policy)
    try:
        with Image.open(image) as opened:
            picture = ImageOps.exif_transpose(opened).convert("RGB")
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DasError(f"{image}: cannot be read as a picture ({error})") from None
    picture.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255
    if output.suffix == ".gif":
        publish(output, animation(made, pixels))
    else:
        save_figure(film_strip(made, pixels[None], in_words(made)), output)
    print(output)


def _pictures(study, dataset: str):
    """Three training images of the data set, (3, C, H, W) in [0, 1], to show things on."""
    import torch

    from das.data.batches import Batches

    images = images_of(study, dataset).train
    pictures, _ = next(Batches(images.subset(torch.arange(3)), batch_size=3).epoch())
    return pictures
