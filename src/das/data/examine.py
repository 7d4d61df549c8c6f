"""What a folder of one's own images holds, as far as a first study must know."""

import urllib.error
import urllib.request
from pathlib import Path

import torch
from PIL import Image

from das import data
from das.data import paired, unpacked
from das.data.sets import FileSet
from das.errors import DasError
from das.study.new import PRETRAINED, Found

LOOKED_AT = 200  # images whose sizes are read
PATIENCE_S = 3  # for an answer about weights


def examine(root: Path) -> Found:
    """Look at ``root``, a folder or an archive: a folder a class, or images beside masks, as the readers `folder` and
    `pairs` read them. Raises DasError where they cannot."""
    reader = "pairs" if paired.is_paired(unpacked.folder_of(root)) else "folder"
    dataset = data.load(reader, root=root, options={"stream": True} if reader == "folder" else {})
    train, test = dataset.train, dataset.test
    assert isinstance(train, FileSet)
    return Found(
        reader=reader,
        train=len(train),
        test=len(test),
        classes=len(dataset.classes),
        shorter=_shorter_side(train.files),
        device="cuda" if torch.cuda.is_available() else "cpu",
        pretrained=weights_can_be_had(),
    )


def _shorter_side(files: tuple[Path, ...]) -> int:
    sides = []
    for file in files[:: max(1, len(files) // LOOKED_AT)]:
        try:
            with Image.open(file) as picture:
                sides.append(min(picture.size))
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # it is named when it is read
    if not sides:
        raise DasError(f"{files[0]}: is no readable picture, nor is any other that was looked at")
    return sorted(sides)[len(sides) // 2]


def weights_can_be_had() -> bool:
    """Whether the ImageNet weights of PRETRAINED are on this machine or can be fetched."""
    from torchvision.models import get_model_weights

    url = get_model_weights(PRETRAINED).DEFAULT.url
    if (Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name).is_file():
        return True
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=PATIENCE_S):
            return True
    except (OSError, urllib.error.URLError, ValueError):
        return False
