"""Policies in motion: the frames that each makes of a few images, side by side in one picture that the page moves."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from das.analysis.results import standing
from das.report.figures import url
from das.report.tables import link
from das.study.runs import RESULTS, PolicyRun, of_study
from das.study.schema import Study
from das.study.sources import Look
from das.video.policy import Policy
from das.video.transform import ImageToVideo

SIDE = 96  # pixels of a frame, at most
MOST = 24  # policies; a page that moves more is not looked at


@dataclass(frozen=True)
class Film:
    """A policy's frames: a row an image, a column a frame; ``data`` the picture as a URL; ``width`` of a frame."""

    title: str
    policy: str
    file: str
    frames: int
    width: int
    data: str


def films(study: Study, pictures: Mapping[str, Tensor]) -> Iterator[Film]:
    """The policies of the study's methods that are there, first seeds first, on ``pictures``: for each data set a few
    images (N, C, H, W) in [0, 1]."""
    policies = {run.made_by.main: run.made_by for run in of_study(study) if run.made_by and run.dataset in pictures}
    with Look(RESULTS / study.name) as look:
        runs = [run for run in policies.values() if standing(run, look)[0]]
    order = study.study.seeds.index
    for run in sorted(runs, key=lambda run: order(run.seed))[:MOST]:
        yield film(study, run, pictures[run.dataset])


def film(study: Study, run: PolicyRun, images: Tensor) -> Film:
    """What the policy of ``run`` makes of ``images`` (N, C, H, W) in [0, 1]."""
    policy = Policy.load(run.main)
    sheet, width = strip(policy, images)
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    grid = study.study
    names = [run.policy, f"seed {run.seed}"]
    names += [study.datasets[run.dataset].title] * (len(grid.datasets) > 1)
    names += [study.backbones[run.backbone].title] * (len(grid.backbones) > 1)
    data = url(buffer.getvalue(), "image/png")
    return Film(", ".join(names), policy.describe(), link(run.main), policy.frames, width, data)


def strip(policy: Policy, images: Tensor) -> tuple[np.ndarray, int]:
    """Frames side by side as uint8 (N H, T W) or (N H, T W, 3), and W: at most SIDE pixels."""
    videos = ImageToVideo(policy)(images).clamp(0, 1)
    count, frames, channels, height, width = videos.shape
    flat = videos.flatten(0, 1)
    if (scale := SIDE / max(height, width)) < 1:
        height, width = max(1, round(scale * height)), max(1, round(scale * width))
        flat = F.interpolate(flat, (height, width), mode="bilinear", antialias=True)
    rows = flat.unflatten(0, (count, frames)).permute(0, 3, 1, 4, 2).reshape(count * height, frames * width, channels)
    pixels = (255 * rows).round().byte().numpy()
    return (pixels[..., :3] if channels >= 3 else pixels[..., 0]), width
