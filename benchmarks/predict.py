"""Predicting: pictures a second from files, beside what decoding and the network cost alone, in one run.

``uv run python -m benchmarks.predict [--pictures N]`` prints the table and writes results/benchmarks/predict.{csv,md}.

JPEGs of 640 x 480 pixels, read at 64 x 64 by a ResNet-8 that sees four frames. Alone are: decoding all files by as many
threads, nothing else; and the network (with its image-to-video step) on images that are there. What `das predict` does
besides, framing, batches and rows, may not add more than 0.3 of the two together.
"""

import argparse
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks._measure import fastest, write
from das.data import decode
from das.data.crops import Center
from das.inference.predict import predict, table
from das.study.schema import Architecture
from das.tasks.classification import DasModel
from das.video.policy import Policy

SIDE, BATCH = 64, 64


def photographs(folder: Path, count: int) -> list[Path]:
    random = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (120, 160, 3), dtype=np.uint8))
        coarse.resize((640, 480), Image.Resampling.BICUBIC).save(folder / f"{number:04}.jpg", quality=92)
    return sorted(folder.iterdir())


def network() -> DasModel:
    policy = Policy.single("rotate", 15, 4)
    names = [str(label) for label in range(10)]
    model = DasModel(Architecture(network="resnet8", fusion="tsm"), policy, names, [0.4] * 3, [0.3] * 3)
    model.framing = Center(SIDE)
    return model.eval()


def decoding(files: list[Path], workers: int) -> Callable[[], None]:
    def run() -> None:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(lambda file: decode.image(file.read_bytes(), file).shape, files):
                pass

    return run


def network_alone(model: DasModel, count: int) -> Callable[[], None]:
    batches = torch.rand(count, 3, SIDE, SIDE).split(BATCH)

    @torch.no_grad()
    def run() -> None:
        for images in batches:
            model.predict(images)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=decode.cores())
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()
    model = network()
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder), args.pictures)
        runs = {
            "decoding alone": decoding(files, args.workers),
            "network alone": network_alone(model, len(files)),
            "das predict": lambda: table(list(predict(model, files, batch_size=BATCH, workers=args.workers))),
        }
        seconds = fastest(runs, args.repetitions)
    both = seconds["decoding alone"] + seconds["network alone"]
    rows = [
        {"what": name, "pictures per second": round(len(files) / taken), "relative to both alone": taken / both}
        for name, taken in seconds.items()
    ]
    write("predict", f"Predicting {len(files)} pictures of 640 x 480 pixels", rows)


if __name__ == "__main__":
    main()
