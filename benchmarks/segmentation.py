"""What fusing frames costs in a training step of a segmentation network, and in the memory of a test.

- the consensus, forward and backward, as a share of the step: a plain mean of all frames' enlarged logits (torch's
  ``interpolate`` of the mean), and the three of `das.video.registration`;
- the same with each frame enlarged, warped back by ``grid_sample``, masked and averaged: the definition;
- peak memory of a test over 64 and over 512 tiles in memory, and over as many images of several sizes in files.

Run ``OMP_NUM_THREADS=1 uv run python -m benchmarks.segmentation``.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from benchmarks._measure import fastest, peak_memory, write
from das.data.sets import FileSet, ImageSet
from das.engine.evaluate import evaluate
from das.study.registry import names
from das.study.schema import Architecture, Compute, Head, SegmentationRecipe
from das.tasks import model as make_model
from das.tasks.segmentation import DenseLoss
from das.video.policy import Policy
from das.video.registration import DenseConsensus, mean_maps

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CASES = {  # network, its options, output stride, classes, side, batch, frames
    "PSPNet, ResNet-8, 64 x 64, T = 4": ("resnet8", {"stem_stride": 2}, 4, 6, 64, 16, 4),
    "PSPNet, ResNet-18, 128 x 128, T = 4": ("resnet18", {}, 8, 21, 128, 2, 4),
    "PSPNet, ResNet-18, 128 x 128, T = 8": ("resnet18", {}, 8, 21, 128, 2, 8),
}
REPETITIONS = 5


def model_of(network, options, output_stride, classes, policy, **evaluation):
    architecture = Architecture(
        task="segmentation",
        network=network,
        network_options=options,
        dropout=0.1,
        head=Head(network="pspnet", output_stride=output_stride),
        fusion="tsm",
        consensus="aligned_mean",
        segmentation=SegmentationRecipe(evaluation=evaluation),
    )
    return make_model(architecture, policy, tuple(map(str, range(classes))), [0.5] * 3, [0.25] * 3).to(DEVICE)


def warped_one_by_one(policy, side):
    """The aligned mean as its definition says it: every frame enlarged, warped, masked."""
    maps = torch.linalg.inv(mean_maps(policy, side, side))[:, :2].float().to(DEVICE)
    maps[:, :, 2] *= 2 / side
    grid = F.affine_grid(maps, (policy.frames, 1, side, side), align_corners=False)
    counts = (grid.abs() <= 1).all(-1).float()[None, :, None]

    def fuse(logits, height, width):
        large = F.interpolate(logits.flatten(0, 1), (height, width), mode="bilinear", align_corners=False)
        grids = grid.expand(len(logits), -1, -1, -1, -1).flatten(0, 1)
        warped = F.grid_sample(large, grids, align_corners=False).unflatten(0, logits.shape[:2])
        return (warped * counts).sum(1) / counts.sum(1)

    return fuse


def enlarged_mean(logits, height, width):
    return F.interpolate(logits.mean(1), (height, width), mode="bilinear", align_corners=False)


def rows_of(title, network, options, output_stride, classes, side, batch, frames):
    policy = Policy.single("rotate", 5, frames)
    model = model_of(network, options, output_stride, classes, policy).train()
    images = torch.rand(batch, 3, side, side, device=DEVICE)
    labels = torch.randint(classes, (batch, side, side), device=DEVICE)
    criterion = DenseLoss(0.4, 0.0)
    with torch.no_grad():
        outputs = [output.detach().requires_grad_() for output in model.network(model.normalize(model.video(images)))]
    gradient = torch.rand(batch, classes, side, side, device=DEVICE)

    def step():
        criterion(model(images), labels).backward()

    def consensus(fuse):
        def run():
            for output in outputs:
                fuse(output, side, side).backward(gradient)

        return run

    ways = {"interpolate the mean (torch)": enlarged_mean}
    ways |= {name: DenseConsensus(name, policy) for name in names("dense_consensus")}
    ways["each frame enlarged and warped (grid_sample)"] = warped_one_by_one(policy, side)
    best = fastest({"step": step, **{name: consensus(fuse) for name, fuse in ways.items()}}, REPETITIONS)
    return [
        {
            "case": title,
            "consensus, both heads": name,
            "ms": 1e3 * best[name],
            "share of the step": best[name] / best["step"],
        }
        for name in ways
    ]


def test_of(count):
    policy = Policy.single("rotate", 5, 4)
    model = model_of("resnet8", {"stem_stride": 2}, 4, 6, policy).eval()
    tiles = ImageSet(torch.zeros(count, 3, 64, 64, dtype=torch.uint8), torch.zeros(count, 64, 64, dtype=torch.int64))
    evaluate(model, tiles.subset(torch.arange(64)), Compute(device=DEVICE), batch_size=64)
    return lambda: evaluate(model, tiles, Compute(device=DEVICE), batch_size=64)


def test_of_files(count):
    """Images of four sizes around 128 pixels, each tested over windows."""
    model = model_of("resnet8", {"stem_stride": 2}, 4, 6, Policy.single("rotate", 5, 4), window=96).eval()
    folder = TemporaryDirectory()
    files, masks = [], []
    for k in range(count):
        height, width = 96 + 32 * (k % 2), 128 + 32 * (k // 2 % 2)
        for kind, paths, shape in (("image", files, (height, width, 3)), ("mask", masks, (height, width))):
            paths.append(Path(folder.name) / f"{kind}{k}.png")
            Image.fromarray(np.zeros(shape, np.uint8)).save(paths[-1])
    pairs = FileSet(Path(folder.name), tuple(files), tuple(masks), size=128, classes=6)
    evaluate(model, pairs.subset(torch.arange(8)), Compute(device=DEVICE), batch_size=64)

    def test():
        with folder:
            evaluate(model, pairs, Compute(device=DEVICE), batch_size=64)

    return test


def main() -> None:
    rows = [row for title, case in CASES.items() for row in rows_of(title, *case)]
    write("segmentation", "Fusing frames' dense predictions", rows)
    memory = [
        {"read from": place, "images": n, "MiB above what is resident before": peak_memory(test, n)}
        for place, test in (("memory", test_of), ("files", test_of_files))
        for n in (64, 512)
    ]
    write("segmentation_memory", "A test's peak memory", memory)


if __name__ == "__main__":
    main()
