"""ImageNet (ILSVRC 2012) from its three official archives, streamed from files. Its validation set is the test set."""

import io
from pathlib import Path

import torch

from das.data import archives
from das.data.prepared import damaged, drop_damaged, folder, require, seal
from das.data.sets import Dataset, FileSet
from das.errors import DasError

TRAIN, VALIDATION = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
SHARE = 224 / 256  # evaluation: shorter side to 256, center 224


def read(reader: str, root: Path, options: dict) -> Dataset:
    """Read what `prepare` made in ``root``."""
    facts = require(reader, root)
    wnids = list(facts["classes"])

    def split(name: str) -> FileSet:
        part = root / ("train" if name == "train" else "val")
        files = [file for wnid in wnids for file in sorted((part / wnid).iterdir())]
        labels = torch.tensor([k for k, wnid in enumerate(wnids) for _ in (part / wnid).iterdir()])
        keep = drop_damaged(files, root, facts["damaged"], options["damaged"])
        return FileSet(root, tuple(files), labels, options["size"], SHARE).subset(torch.tensor(keep))

    per_class = {s: options[f"{s}_per_class"] for s in ("train", "test")}
    return Dataset(reader, split, tuple(facts["classes"].values()), per_class)


def prepare(root: Path) -> None:
    """Unpack into ``root``/{train,val}/<WordNet id>/; the devkit says which class a validation image has.

    Classes are numbered in the order of their WordNet id. Every image is decoded once; damaged ones are remembered.
    """
    archives.make_room(root, root / TRAIN, root / VALIDATION)
    words, truth = _devkit(root / DEVKIT)
    with folder(root / "train") as train:
        for name, content in archives.members(root / TRAIN):
            wnid = name.removesuffix(".tar")
            if wnid not in words:
                raise DasError(f"{root / TRAIN}: {name} is none of the devkit's classes")
            _unpack_class(content, train / wnid, root / TRAIN, name)
    with folder(root / "val") as validation:
        for wnid in words:
            (validation / wnid).mkdir()

        def place(name: str) -> str:
            # ILSVRC2012_val_00000001.JPEG: the ground truth's lines are in the order of these numbers.
            return f"{truth[int(Path(name).stem.rsplit('_', 1)[1]) - 1]}/{name}"

        try:
            archives.extract(root / VALIDATION, validation, place)
        except (ValueError, IndexError) as error:
            raise DasError(f"{root / VALIDATION}: holds a file that the devkit does not number ({error})") from error
    files = sorted(root.glob("train/*/*")) + sorted(root.glob("val/*/*"))
    seal("imagenet", root, classes=words, damaged=damaged(root, files))


def _unpack_class(content: bytes, into: Path, origin: Path, name: str) -> None:
    """Unpack the tar of one class, itself a member of the training archive."""
    inner = into.with_suffix(".tar")
    inner.write_bytes(content)
    try:
        into.mkdir()
        archives.extract(inner, into)
    except DasError as error:
        raise DasError(f"{origin}: in {name}: {error}") from error
    finally:
        inner.unlink()


def _devkit(path: Path) -> tuple[dict[str, str], list[str]]:
    """Return {WordNet id: first word} of the 1000 leaf classes, sorted, and the validation images' WordNet ids."""
    from scipy.io import loadmat

    content = {Path(name).name: data for name, data in archives.members(path, lambda name: "/data/" in name)}
    try:
        synsets = loadmat(io.BytesIO(content["meta.mat"]), squeeze_me=True)["synsets"]
        leaves = [s for s in synsets if s["num_children"] == 0]
        of_number = {int(s["ILSVRC2012_ID"]): str(s["WNID"]) for s in leaves}
        words = {str(s["WNID"]): str(s["words"]).split(",")[0] for s in leaves}
        truth = [of_number[int(line)] for line in content["ILSVRC2012_validation_ground_truth.txt"].split()]
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise DasError(f"{path}: not the devkit's layout ({error})") from error
    return dict(sorted(words.items())), truth
