"""`das new`, `predict`, `test`, `explain`: from pictures to a study, and from a trained network to answers."""

import os
from pathlib import Path
from typing import Annotated

import typer

from das.cli.common import PARAMS, from_here, here
from das.errors import DasError

app = typer.Typer()

Checkpoint = Annotated[Path, typer.Argument(callback=from_here, help="A .pt file under results/checkpoints.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures in a step of the network.")]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the study: small letters, digits and _.")],
    folder: Annotated[
        Path,
        typer.Argument(callback=from_here, help="A folder a class, or images/ beside masks/; or an archive of it."),
    ],
    output: Annotated[Path | None, typer.Option(callback=from_here, help="The study file; NAME.yaml.")] = None,
):
    """Write a first study of your own images, short and commented: image size, network, recipe and epochs follow from
    the images by rules that the file states.

    Example: das new mine photos/
    """
    from das.data.examine import examine
    from das.files import publish
    from das.study import load_study
    from das.study.new import write

    output = output or here(Path(f"{name}.yaml"))
    if output.exists():
        raise DasError(f"{output}: is there already; move it away, or name another file with --output")
    found = examine(folder)
    inside = folder.resolve().is_relative_to(Path.cwd())
    root = folder.resolve().relative_to(Path.cwd()) if inside else folder.resolve()
    publish(output, write(name, str(root), found))
    try:
        load_study([*PARAMS, output])
    except DasError:
        output.unlink()
        raise
    print(f"{output}: {found.train} training and {found.test} test images of {found.classes} classes. Now:")
    print(f"uv run snakemake --cores all results/tables --configfile {output}")


@app.command()
def predict(
    checkpoint: Checkpoint,
    images: Annotated[list[Path], typer.Argument(callback=from_here, help="Pictures, folders of pictures, globs.")],
    csv: Annotated[Path | None, typer.Option(callback=from_here, help="Write a row a picture here.")] = None,
    json: Annotated[Path | None, typer.Option(callback=from_here, help="Write all here as JSON.")] = None,
    masks: Annotated[
        Path | None, typer.Option(callback=from_here, help="Folder for label maps as palette PNGs (segmentation).")
    ] = None,
    overlays: Annotated[
        Path | None, typer.Option(callback=from_here, help="Folder for pictures under their labels (segmentation).")
    ] = None,
    batch: Batch = 64,
):
    """Say what pictures show: the class of each, or of a segmentation the class of each pixel.

    Pictures are framed as the network's own were in its test. One that cannot be read is a row that says so, and the
    rest goes on. What was found before an interruption is written.

    Example: das predict results/checkpoints/mine/mine/resnet8/das_one_edge/seed0.pt photos/ --csv predictions.csv
    """
    from das.engine.progress import counted
    from das.files import publish, publish_json
    from das.inference import predict as inference
    from das.inference.pictures import find

    model = _model(checkpoint)
    if (masks or overlays) and model.metric != "miou":
        raise DasError(f"--{'masks' if masks else 'overlays'}: {checkpoint} says one class of a picture, not of pixels")
    _can_be_written(csv, json)
    files = find(images)
    said = inference.predict(model, files, batch_size=batch)
    if model.metric == "miou":
        from das.inference import label_maps

        said = label_maps.write(said, model, files, masks, overlays)
    found: list[inference.Prediction] = []
    try:
        for one in counted(said, len(files), "predict", "picture"):
            found.append(one)
    finally:
        if len(found) < len(files):
            typer.echo(f"das: stopped after {len(found)} of {len(files)} pictures", err=True)
        if csv and found:
            publish(csv, inference.table(found).to_csv(index=False))
        if json and found:
            publish_json(json, {"checkpoint": str(checkpoint), "predictions": inference.documents(found)})
    if not (csv or json or masks or overlays):
        for one in found:
            print(f"{one.file}: {one.error or one.sentence}")
    print(inference.summary(found).to_markdown(floatfmt=("", ".0f", ".1f")))
    _name_unread([f"{one.file}: {one.error}" for one in found if one.error], len(found))


@app.command("test")
def score(
    checkpoint: Checkpoint,
    folder: Annotated[Path, typer.Argument(callback=from_here, help="A folder a class; or images/ beside masks/.")],
    output: Annotated[
        Path | None,
        typer.Argument(callback=from_here, help="Write NAME.csv (by class), NAME.json (all), NAME.png and NAME.pdf."),
    ] = None,
    batch: Batch = 64,
):
    """Test a network on pictures whose classes are known: accuracy, calibration, scores by class, confusions.

    Example: das test results/checkpoints/mine/mine/resnet8/das_one_edge/seed0.pt new_photos/ report
    """
    from das.engine.progress import counted
    from das.inference import score as inference

    model = _model(checkpoint)
    scores = inference.score(
        model, folder, batch_size=batch, watch=lambda said, total: counted(said, total, "test", "picture")
    )
    for name, value in scores.summary().items():
        print(f"{name.replace('_', ' ')}: {value if isinstance(value, int) else format(value, '.4f')}")
    print(f"\n{scores.per_class().to_markdown(floatfmt=('', '.0f', *4 * ['.3f']))}")
    if len(scores.classes) <= inference.READABLE:
        print(f"\n{scores.confusion_table().to_markdown()}")
    if output:
        from das.analysis.style import save_figure
        from das.files import publish, publish_json

        publish(output.with_suffix(".csv"), scores.per_class().to_csv())
        publish_json(output.with_suffix(".json"), inference.document(scores))
        print(save_figure(inference.figure(scores, f"{checkpoint.name} on {folder}"), output))
    _name_unread(scores.unread, len(scores.unread) + scores.count)


@app.command()
def explain(
    checkpoint: Checkpoint,
    image: Annotated[Path, typer.Argument(callback=from_here, help="A picture.")],
    output: Annotated[
        Path | None,
        typer.Argument(callback=from_here, help="Where to draw it (.png, .pdf, .svg); or IMAGE_explained."),
    ] = None,
    label: Annotated[str | None, typer.Option(help="The class to explain; by default the predicted one.")] = None,
):
    """Show why a network says what it says of a picture: its frames, each frame's vote, and what speaks for the class
    in each frame and, brought back, in the picture.

    Example: das explain results/checkpoints/mine/mine/resnet8/das_one_edge/seed0.pt photo.jpg why.png
    """
    from das.analysis.style import save_figure
    from das.inference import explain as inference

    drawn = inference.picture_of(_model(checkpoint), image, label)
    output = output or here(Path(f"{image.stem}_explained"))
    print(save_figure(drawn, output))


def _model(checkpoint: Path):
    """The checkpoint's model, where it is fastest."""
    import torch

    from das.engine.checkpoint import load_model

    return load_model(checkpoint).to("cuda" if torch.cuda.is_available() else "cpu")


def _can_be_written(*paths: Path | None) -> None:
    """Raise DasError for a file that could not be written once the work is done."""
    for path in filter(None, paths):
        if path.is_dir():
            raise DasError(f"{path}: is a folder; name a file")
        there = next(folder for folder in path.absolute().parents if folder.exists())
        if not (there.is_dir() and os.access(there, os.W_OK)):
            raise DasError(f"{path}: cannot be written; {there} is no folder, or not yours to write in")


def _name_unread(lines, total: int) -> None:
    """Say which pictures could not be read; fail if none could."""
    if lines:
        more = f"; and {len(lines) - 5} more" if len(lines) > 5 else ""
        message = f"{len(lines)} of {total} pictures could not be read: {'; '.join(lines[:5])}{more}"
        if len(lines) == total:
            raise DasError(message)
        typer.echo(f"das: {message}", err=True)
