"""The embedded land-cover tiles: true-color satellite images of 64 x 64 pixels and masks of six classes."""

import io
import zipfile
from pathlib import Path

import numpy as np
import torch

from das.data.checksums import verify_listed
from das.data.sets import Dataset, ImageSet
from das.errors import DasError

CLASSES = ("water", "forest", "shrub and savanna", "grassland", "cropland", "barren")
COLORS = ((65, 155, 223), (57, 125, 73), (223, 195, 90), (136, 176, 83), (228, 150, 53), (165, 155, 143))
_REMAKE = "data/embedded/make_land_cover.py"


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read ``root``/land_cover.npz; ``train_tiles`` and ``test_tiles`` take that many, evenly spread over the globe."""
    path = root / "land_cover.npz"

    def split(name: str) -> ImageSet:
        content = verify_listed(path, remake=_REMAKE)
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                images, masks = arrays[f"{name}_images"], arrays[f"{name}_masks"]
        except (KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DasError(f"{path}: holds no {name} images and masks ({error}); make it with {_REMAKE}") from None
        count = options[f"{name}_tiles"] or len(images)
        if count > len(images):
            raise DasError(f"options.{name}_tiles: {count} is more than there are; use at most {len(images)}")
        chosen = np.arange(count) * len(images) // count
        return ImageSet(torch.from_numpy(images[chosen]), torch.from_numpy(masks[chosen].astype(np.int64)))

    return Dataset(reader, split, CLASSES, colors=COLORS)
