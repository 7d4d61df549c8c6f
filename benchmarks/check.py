"""`das check` of 5,000 photographs of 640 x 480, beside reading and decoding them one after the other with Pillow.

``uv run python -m benchmarks.check [--files N]`` prints the table and writes results/benchmarks/check.{csv,md}. Wall
time depends on how many cores are free; processor time, of all processes together, does not.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks._measure import write
from das.data.check import check

CLASSES, PICTURES = 5, 20  # pictures that differ; files differ by a byte at the end


def photographs(root: Path, count: int) -> None:
    """``count`` JPEGs of smooth noise with grain, some 45 KiB each."""
    draws = np.random.default_rng(0)
    made = []
    for number in range(PICTURES):
        small = Image.fromarray(draws.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        grain = draws.integers(-12, 13, (480, 640, 3))
        pixels = (np.asarray(small.resize((640, 480), Image.Resampling.BICUBIC)) + grain).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / f"{number}.jpg", quality=75)
        made.append((root / f"{number}.jpg").read_bytes())
        (root / f"{number}.jpg").unlink()
    for number in range(count):
        folder = root / f"class{number % CLASSES}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.jpg").write_bytes(made[number % PICTURES] + number.to_bytes(4, "big"))


def one_after_the_other(root: Path) -> None:
    """What anyone would write."""
    for file in sorted(root.rglob("*.jpg")):
        Image.open(file).load()


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds, those of child processes included."""
    before, start = os.times(), time.perf_counter()
    work()
    after = os.times()
    return time.perf_counter() - start, sum(after[:4]) - sum(before[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=5000)
    count = parser.parse_args().files
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        photographs(root, count)
        found = {
            "das check": seconds(lambda: check(root, None, 0.2)),
            "Pillow, one after the other": seconds(lambda: one_after_the_other(root)),
        }
    rows = [{"what": what, "files": count, "wall s": wall, "processor s": busy} for what, (wall, busy) in found.items()]
    write("check", "A check of one's own images", rows)


if __name__ == "__main__":
    main()
