"""From a checkpoint to exported files: the images to check them on, and the folder with a card."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from das import data
from das.analysis.strips import film_strip
from das.analysis.style import save_figure
from das.data.batches import Batches
from das.data.crops import Center, Whole
from das.errors import DasError
from das.export.card import Origin, card
from das.export.formats import FORMATS, export
from das.files import publish
from das.inference.pictures import find, framing_of, read
from das.study import load_study, of_method
from das.study.runs import TrainingRun
from das.tasks.classification import DasModel

CHECKED = 32  # images that an export is compared on, at most
SHOWN = 3


def deliver(
    model: DasModel, out: Path, images: Tensor, to: str | None = None, origin: Origin | None = None
) -> dict[Path, float | None]:
    """Write ``model`` to the file ``out``, or, where that has no suffix and ``to`` is not said, to a folder: every
    format, README.md (the card) and film_strip.png.

    Returns what was written: exported files with the greatest difference of their logits on ``images``. Raises DasError
    as `das.export.formats.export`.
    """
    if to or (out.suffix and not out.is_dir()):
        return {out: export(model, out, images, to)}
    written: dict[Path, float | None] = {}
    for name in FORMATS:
        path = out / f"model.{name}"
        written[path] = export(model, path, images)
    files = {path.name: difference for path, difference in written.items() if difference is not None}
    title = f"{origin.run.dataset}, {origin.run.backbone}, {origin.run.method}" if origin else out.name
    size = (images.shape[2], images.shape[3])
    shown = images[:SHOWN]
    strip = out / "film_strip.png"
    save_figure(film_strip(model.policy, shown), strip)
    publish(out / "README.md", card(model, title, size, files, len(images), strip.name, len(shown), origin))
    return {**written, strip: None, out / "README.md": None}


def origin_of(checkpoint: Path, study_files: Sequence[Path]) -> tuple[Origin | None, Tensor | None]:
    """The run of the study that trained ``checkpoint``, and images of its test set; (None, None) where the study has no
    such run."""
    if not all(path.is_file() for path in study_files):
        return None, None
    study = load_study(study_files)
    *_, name, dataset, backbone, method, seed = ("", "", "", "", "", *checkpoint.resolve().with_suffix("").parts)
    number = seed.removeprefix("seed")
    named = (study.name == name, dataset in study.datasets, backbone in study.backbones, method in study.methods)
    if not (all(named) and number.isdigit()):
        return None, None
    run = of_method(study, dataset, backbone, method, int(number))
    if not isinstance(run, TrainingRun) or run.checkpoint.resolve() != checkpoint.resolve():
        return None, None
    test = data.of_study(study, run.dataset).test
    chosen = torch.linspace(0, len(test) - 1, min(CHECKED, len(test))).round().long()
    images, _ = next(Batches(test.subset(chosen), CHECKED).epoch())
    return Origin(study, run, len(test)), images


def real_images(paths: Sequence[Path], model: DasModel, size: int | None = None) -> Tensor:
    """Up to `CHECKED` of the pictures that ``paths`` name (`das.inference.pictures.find`), as the model is tested on
    them or, with ``size``, as squares of that side: (N, C, H, W) in [0, 1].

    Raises DasError for what is not there or cannot be read, and where the checkpoint does not say the size.
    """
    files = find(paths)
    chosen = files[:: -(-len(files) // CHECKED)]
    side = size or model.architecture.image_size
    squares = Whole if model.architecture.head else Center
    framing = squares(side) if side else framing_of(model)
    if framing.size is None:
        raise DasError("--size: is missing; the checkpoint does not say at which size its images were tested")
    pictures = []
    for picture in read(chosen, model, framing=framing):
        if not isinstance(picture, Tensor):
            raise picture
        pictures.append(picture)
    return torch.stack(pictures).float() / 255
