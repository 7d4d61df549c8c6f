"""Images and labels that lie in memory: training and prediction from Python, by the engine of the studies.

Arguments become a study of one run, checked as every study is; nothing is written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from das.data.sets import Dataset, ImageSet
from das.engine import train
from das.engine.checkpoint import checkpoint, load_model
from das.engine.resume import NotKept
from das.errors import DasError
from das.files import publish
from das.study.load import check
from das.study.runs import TrainingRun, of_method
from das.study.schema import Study
from das.tasks.classification import DasModel
from das.video.policy import Policy

Array = Tensor | np.ndarray
Labels = Array | Sequence[int] | Sequence[str]
Settings = Mapping[str, Any]

IMAGES, NETWORK, RECIPE, METHOD, POLICY = "images", "network", "recipe", "method", "policy"

#: How `fit` trains where nothing else is asked for; ``recipe`` is laid over it. AdamW forgives few steps.
DEFAULTS: dict[str, Any] = {
    "epochs": 20,
    "batch_size": 32,
    "optimizer": "adamw",
    "lr": 2e-3,
    "weight_decay": 0.05,
    "warmup_epochs": 1,
}


def fit(
    images: Array,
    labels: Labels,
    *,
    policy: Policy | None = None,
    network: str = "resnet8",
    network_options: Settings | None = None,
    pretrained: bool = False,
    fusion: str | None = None,
    recipe: Settings | None = None,
    augment: Sequence[str | dict[str, dict[str, Any]]] = (),
    test: tuple[Array, Labels] | None = None,
    classes: Sequence[str] | None = None,
    seed: int = 0,
    device: str = "cpu",
) -> DasModel:
    """Train a classifier that looks at each image through the frames of ``policy``.

    Args:
        images: uint8 (N, C, H, W), or floats in [0, 1], taken to the nearest of 256 values; C is 1 or 3.
        labels: N names, or whole numbers in [0, classes).
        policy: what makes a video of an image; None for the image alone.
        network, network_options, pretrained: as `backbones` of a study say them (docs/reference.md).
        fusion: how information crosses frames; by default `tsm` where the policy has several, else `none`.
        recipe: as `recipes` of a study say it, laid over `DEFAULTS`; ``batch_size`` is at most N.
        augment: names of augmentations, or {name: {option: value}}, of the images before the policy.
        test: images and labels to test on after each epoch.
        classes: the names of the classes, in the order of their numbers; by default the labels, sorted.
        seed: all that is random derives from it: equal calls on one machine give equal weights.

    Returns the model, in evaluation: images (B, C, H, W) in [0, 1] -> logits (B, classes). Raises DasError for
    arguments that do not fit, one line each, and for a loss that is no longer finite.
    """
    images_of = dataset(images, labels, classes, test)
    fusion = fusion or ("tsm" if policy and policy.frames > 1 else "none")
    method: dict[str, Any] = {"title": METHOD, "fusion": fusion}
    study = one_run(
        images_of,
        where="das.fit",
        network={"network": network, "options": dict(network_options or {}), "pretrained": pretrained},
        recipe={**DEFAULTS, "batch_size": min(DEFAULTS["batch_size"], len(images_of.train)), **(recipe or {})},
        augment=augment,
        seed=seed,
        device=device,
        methods={METHOD: method | ({"policy": POLICY} if policy else {})},
        policies={POLICY: {"source": "file", "path": POLICY}} if policy else {},
    )
    run = of_method(study, IMAGES, NETWORK, METHOD, seed)
    assert isinstance(run, TrainingRun)
    with undisturbed():
        return train.fit(run, images_of, policy, NotKept()).model.eval()


def predict(model: DasModel | str | Path, images: Array, batch_size: int = 64) -> pd.DataFrame:
    """What a classifier, or the one of a checkpoint, says of images as `fit` takes them: a row each.

    Columns: ``label``, the name of the likeliest class; ``confidence``, its probability; and every class's probability
    under the class's name. Raises DasError for a segmentation: ``model.predict(images).argmax(1)`` are its label maps.
    """
    model = model if isinstance(model, DasModel) else load_model(model)
    if model.metric != "accuracy":
        raise DasError("das.predict: the model labels pixels; use model.predict(images).argmax(1)")
    pixels = pixels_of(images)
    training, device = model.training, next(model.parameters()).device
    model.eval()
    with torch.no_grad():
        parts = [model.predict(part.to(device).float() / 255).softmax(1).cpu() for part in pixels.split(batch_size)]
    model.train(training)
    probabilities = torch.cat(parts)
    confidence, best = probabilities.max(1)
    frame = pd.DataFrame({"label": [model.classes[index] for index in best.tolist()], "confidence": confidence.numpy()})
    return pd.concat([frame, pd.DataFrame(probabilities.numpy(), columns=list(model.classes))], axis=1)


def save(model: DasModel, path: str | Path) -> None:
    """Write ``model`` to a checkpoint, which `das.load`, `das predict` and `das export` read."""
    publish(path, checkpoint(model))


# -- what searching from Python uses, too --------------------------------------------------------------------------


def dataset(
    images: Array,
    labels: Labels,
    classes: Sequence[str] | None = None,
    test: tuple[Array, Labels] | None = None,
) -> Dataset:
    """The data set of arrays; without ``test`` its test set is empty. Raises DasError for arrays that do not fit."""
    if test and classes is None and _named(labels) != _named(test[1]):
        raise DasError("test: labels are numbers where the training's are names, or the other way; give both alike")
    names = list(classes) if classes is not None else _names(labels)
    sets = {"train": _set(images, labels, names, "")}
    if not len(sets["train"]):
        raise DasError("images: there are none; a training needs some of every class")
    sets["test"] = _set(*test, names, "test: ") if test else sets["train"].subset(torch.arange(0))
    return Dataset(IMAGES, sets.__getitem__, tuple(names))


def one_run(
    images: Dataset,
    *,
    where: str,
    network: Settings,
    recipe: Settings,
    augment: Sequence,
    seed: int,
    device: str,
    methods: Settings,
    policies: Settings,
    **sections: Settings,
) -> Study:
    """A study of one data set and one network, in memory. Raises DasError, a line a problem, led by ``where``."""
    settings = {
        "study": {
            "name": "python",
            "datasets": [IMAGES],
            "backbones": [NETWORK],
            "methods": list(methods),
            "seeds": [seed],
            "reference": next(iter(methods)),
        },
        "compute": {"device": device, "threads": torch.get_num_threads()},
        "datasets": {
            IMAGES: {
                "title": IMAGES,
                "reader": "arrays",
                "root": "memory",
                "recipe": RECIPE,
                "augment": list(augment),
            }
        },
        "backbones": {NETWORK: {"title": NETWORK, **network}},
        "recipes": {RECIPE: dict(recipe)},
        "methods": methods,
        "policies": policies,
        **sections,
    }
    return check(settings, where)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Give back torch's random state, threads and determinism, which a run sets for itself, as they were."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    flags = cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32
    with torch.random.fork_rng():
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(deterministic)
            cudnn.benchmark, cudnn.allow_tf32, matmul.allow_tf32 = flags


def pixels_of(images: Array, key: str = "images") -> Tensor:
    """Images as uint8 (N, C, H, W); DasError for what are no images."""
    pixels = torch.as_tensor(images)
    shape = tuple(pixels.shape)
    if pixels.ndim != 4 or shape[1] not in (1, 3):
        last = "; channels come first: use images.transpose(0, 3, 1, 2)" if shape[3:] in ((1,), (3,)) else ""
        raise DasError(f"{key}: shape {shape} is not (N, 1 or 3, H, W){last}")
    if pixels.is_floating_point():
        low, high = (float(pixels.min()), float(pixels.max())) if pixels.numel() else (0.0, 0.0)
        if not (low >= 0 and high <= 1):
            raise DasError(f"{key}: values from {low:g} to {high:g}; floats must lie in [0, 1], bytes be uint8")
        pixels = (pixels * 255).round().to(torch.uint8)
    if pixels.dtype != torch.uint8:
        raise DasError(f"{key}: {pixels.dtype} is neither uint8 nor floats in [0, 1]")
    return pixels


def _set(images: Array, labels: Labels, classes: Sequence[str], key: str) -> ImageSet:
    pixels, numbers = pixels_of(images, f"{key}images"), _numbers(labels, classes, f"{key}labels")
    if len(pixels) != len(numbers):
        raise DasError(f"{key}labels: there are {len(numbers)} for {len(pixels)} images")
    return ImageSet(pixels, numbers)


def _named(labels: Labels) -> bool:
    return not isinstance(labels, Tensor) and np.asarray(labels).dtype.kind in "UO"


def _names(labels: Labels) -> list[str]:
    """The classes that labels speak of."""
    if _named(labels):
        return sorted(set(map(str, np.asarray(labels).tolist())))
    numbers = torch.as_tensor(labels)  # type: ignore[arg-type]
    return [str(number) for number in range(int(numbers.max()) + 1 if numbers.numel() else 0)]


def _numbers(labels: Labels, classes: Sequence[str], key: str) -> Tensor:
    if _named(labels):
        known = {name: number for number, name in enumerate(classes)}
        found = [str(name) for name in np.asarray(labels).tolist()]
        if unknown := sorted(set(found) - set(known)):
            raise DasError(f"{key}: {unknown[0]!r} is no class; there are {', '.join(classes)}")
        return torch.tensor([known[name] for name in found])
    numbers = torch.as_tensor(labels)  # type: ignore[arg-type]
    whole = not numbers.is_floating_point() and numbers.dtype != torch.bool
    if numbers.ndim != 1 or not whole:
        raise DasError(f"{key}: {numbers.dtype} {tuple(numbers.shape)} is not (N,) of names or whole numbers")
    if numbers.numel() and not 0 <= int(numbers.min()) <= int(numbers.max()) < len(classes):
        raise DasError(
            f"{key}: {int(numbers.min())} to {int(numbers.max())}; {len(classes)} classes count from 0 to "
            f"{len(classes) - 1}"
        )
    return numbers.long()
