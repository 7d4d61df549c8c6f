"""Feeding: batches of training images a second, ours beside the usual pipeline, in one run.

``uv run python -m benchmarks.feeding [--workers N] [--device cuda]`` prints the table and writes
results/benchmarks/feeding.{csv,md}.

In memory: crop with padding 4, flip and normalization of 32 x 32 images, against torchvision's DataLoader with PIL
transforms and 2 worker processes, which are started once. From files: JPEGs of 500 x 375 pixels, cut at random and
resampled to 224 in uint8 batches on the device, and these flipped and made float besides, against reading and decoding
the files alone, with as many decoding threads (``--workers``; one a core). What is done on the device takes time from
these threads where it is the CPU. Tensors are worked on by one thread, as in a job of the workflow.
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
from das import augment, seeding
from das.data import decode
from das.data.batches import Batches
from das.data.sets import FileSet, ImageSet
from das.models import Normalize

MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
HELD, BATCH = 10_000, 128
FILES, FILE_BATCH, SIZE = 400, 64, 224


def ours_in_memory(images: ImageSet, device: str) -> Callable[[], None]:
    steps = augment.build([{"random_crop": {"padding": 4}}, "random_flip"])
    batches = Batches(images, BATCH, steps, device=device)
    normalize = Normalize(MEAN, STD).to(device)

    def epoch() -> None:
        for batch, _ in batches.epoch(seeding.generator("feeding")):
            normalize(batch)

    return epoch


class PilImages(torch.utils.data.Dataset):
    """Images and labels as torchvision's CIFAR10 serves them."""

    def __init__(self, images: ImageSet):
        from torchvision import transforms

        self.pixels, self.labels = images.images.permute(0, 2, 3, 1).contiguous().numpy(), images.labels.tolist()
        steps = [transforms.RandomCrop(32, 4), transforms.RandomHorizontalFlip(), transforms.ToTensor()]
        self.transform = transforms.Compose([*steps, transforms.Normalize(MEAN, STD)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def usual(images: ImageSet, device: str) -> Callable[[], None]:
    loader = torch.utils.data.DataLoader(
        PilImages(images), BATCH, shuffle=True, num_workers=2, persistent_workers=True, pin_memory=device != "cpu"
    )

    def epoch() -> None:
        for batch, _ in loader:
            batch.to(device)

    return epoch


def photographs(folder: Path) -> FileSet:
    """JPEGs of ImageNet's usual size, about 100 kB each."""
    random = np.random.default_rng(0)
    for i in range(FILES):
        coarse = Image.fromarray(random.integers(0, 256, (100, 130, 3), dtype=np.uint8))
        coarse.resize((500, 375), Image.Resampling.BICUBIC).save(folder / f"{i:03}.jpg", quality=92)
    return FileSet(folder, tuple(sorted(folder.iterdir())), torch.zeros(FILES, dtype=torch.int64), SIZE)


def streamed(images: FileSet, device: str, workers: int) -> Callable[[], None]:
    images, framing = images.to(device), augment.build([{"random_resized_crop": {"size": SIZE}}])[0]

    def epoch() -> None:
        for _ in images.chunks(torch.arange(FILES).split(FILE_BATCH), framing, seeding.generator("feeding"), workers):
            pass

    return epoch


def ours_from_files(images: FileSet, device: str, workers: int) -> Callable[[], None]:
    steps = augment.build([{"random_resized_crop": {"size": SIZE}}, "random_flip"])
    batches = Batches(images, FILE_BATCH, steps, device=device, workers=workers)

    def epoch() -> None:
        for _ in batches.epoch(seeding.generator("feeding")):
            pass

    return epoch


def decoder_alone(images: FileSet, workers: int) -> Callable[[], None]:
    def epoch() -> None:
        with ThreadPoolExecutor(workers) as pool:
            for _ in pool.map(lambda file: decode.image(file.read_bytes(), file).shape, images.files):
                pass

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=decode.cores())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repetitions", type=int, default=7)
    args = parser.parse_args()
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    pixels = torch.from_numpy(random.integers(0, 256, (HELD, 3, 32, 32), dtype=np.uint8))
    held = ImageSet(pixels, torch.arange(HELD) % 10)
    with tempfile.TemporaryDirectory() as folder:
        filed = photographs(Path(folder))
        in_memory = {"ours": ours_in_memory(held, args.device), "DataLoader, PIL, 2 workers": usual(held, args.device)}
        from_files = {
            "ours, uint8 batches": streamed(filed, args.device, args.workers),
            "ours, flipped and float": ours_from_files(filed, args.device, args.workers),
            "decoder alone": decoder_alone(filed, args.workers),
        }
        rows = []
        for what, count, runs in (
            ("in memory, 32 x 32", HELD, in_memory),
            ("from files, 500 x 375 to 224 x 224", FILES, from_files),
        ):
            seconds = fastest(runs, args.repetitions)
            reference = list(runs)[-1]
            rows += [
                {
                    "images": what,
                    "pipeline": name,
                    "images per second": round(count / taken),
                    "relative to the last": seconds[reference] / taken,
                }
                for name, taken in seconds.items()
            ]
    write("feeding", "Feeding training images", rows)


if __name__ == "__main__":
    main()
