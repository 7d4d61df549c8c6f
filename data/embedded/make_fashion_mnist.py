#!/usr/bin/env python3
"""Derive the embedded subset of Fashion-MNIST from the full set in the Debian package dataset-fashion-mnist.

    python data/embedded/make_fashion_mnist.py [--source DIR] [--out DIR]

Takes the same number of images of every class, drawn by the SHA-256 of their position, keeps their order, and writes
them in the official IDX format beside a SHA256SUMS that the reader verifies. The same source gives the same bytes
everywhere.
"""

import argparse
import gzip
import hashlib
from pathlib import Path

PER_CLASS = {"train": 600, "t10k": 200}
# MD5 of the uncompressed official files.
MD5 = {
    "train-images-idx3-ubyte": "f4a8712d7a061bf5bd6d2ca38dc4d50a",
    "train-labels-idx1-ubyte": "9018921c3c673c538a1fc5bad174d6f9",
    "t10k-images-idx3-ubyte": "8181f5470baa50b63fa0f6fddb340f0a",
    "t10k-labels-idx1-ubyte": "15d484375f8d13e6eb1aabb0c3f46965",
}
SIDE = 28


def read(source: Path, name: str) -> bytes:
    """The uncompressed file, verified."""
    content = gzip.decompress((source / f"{name}.gz").read_bytes())
    found = hashlib.md5(content).hexdigest()
    if found != MD5[name]:
        raise SystemExit(f"{source / name}.gz: uncompressed MD5 {found}, expected {MD5[name]}")
    return content


def subset(images: bytes, labels: bytes, per_class: int) -> tuple[bytes, bytes]:
    """The two IDX files (headers of 16 and 8 bytes) with ``per_class`` examples of each label."""
    labels, pixels = labels[8:], memoryview(images)[16:]
    order = sorted(range(len(labels)), key=lambda i: hashlib.sha256(str(i).encode()).digest())
    chosen = sorted(i for label in range(10) for i in [k for k in order if labels[k] == label][:per_class])
    count = len(chosen).to_bytes(4, "big")
    side = SIDE.to_bytes(4, "big")
    area = SIDE * SIDE
    return (
        b"\0\0\x08\x03" + count + side + side + b"".join(pixels[i * area : (i + 1) * area] for i in chosen),
        b"\0\0\x08\x01" + count + bytes(labels[i] for i in chosen),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("/usr/share/datasets/fashion-mnist"))
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "fashion_mnist")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    sums = []
    for split, per_class in PER_CLASS.items():
        names = (f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte")
        parts = subset(*(read(args.source, name) for name in names), per_class)
        for name, content in zip(names, parts, strict=True):
            (args.out / name).write_bytes(content)
            sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
    (args.out / "SHA256SUMS").write_text("".join(sums))


if __name__ == "__main__":
    main()
