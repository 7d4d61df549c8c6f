"""Trained models for elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from das.cli.common import PARAMS, StudyFiles, from_here
from das.errors import DasError

app = typer.Typer()


@app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(callback=from_here, help="A checkpoint of `das train`.")],
    out: Annotated[Path, typer.Argument(callback=from_here, help="A file, or a folder for all formats and a card.")],
    to: Annotated[
        str | None, typer.Option(help="onnx, pt2 or safetensors; by default what the suffix of OUT says.")
    ] = None,
    images: Annotated[
        list[Path] | None,
        typer.Option(
            callback=from_here, help="Picture or folder to check on; by default test images of the checkpoint's study."
        ),
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Side of the images; by default what the checkpoint was tested at.")
    ] = None,
    study_files: StudyFiles = PARAMS,
):
    """Write a trained model to files that need nothing of this package, and compare them with it on real images.

    OUT.onnx (ONNX) and OUT.pt2 (torch.export) hold all that is between images in [0, 1] and logits, for any number of
    images; OUT.safetensors holds the weights. A folder gets all three, and a model card with a film strip. Nothing is
    written that does not agree with the model.

    Example: das export results/checkpoints/quickstart/fashion_mnist/resnet8/das/seed0.pt exported
    """
    from das.engine.checkpoint import load_model
    from das.export.deliver import deliver, origin_of, real_images

    model = load_model(checkpoint)
    origin, tested = origin_of(checkpoint, study_files)
    if images:
        pixels = real_images(images, model, size)
    elif tested is not None:
        pixels = tested
    else:
        raise DasError(
            f"{checkpoint}: is none of the study in {', '.join(map(str, study_files))}; name pictures to check the "
            "export on with --images"
        )
    for path, difference in deliver(model, out, pixels, to, origin).items():
        print(path if difference is None else f"{path}: differs by at most {difference:.2g} on {len(pixels)} images")
