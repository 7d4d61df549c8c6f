"""Images beside their masks: which belong together, and everything that is wrong with them. Imports no torch."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from das.data import masks, pictures
from das.data.listing import LEAST, PARTS, WHOLE, LeftOut, Listed, part_folders, settled, visible
from das.data.masks import IGNORE
from das.data.pictures import Damaged
from das.errors import DasError
from das.study.sources import walk

CLASSES = "classes.txt"


@dataclass(frozen=True)
class Pairs(Listed[Path]):
    """Images, each with the file of its mask."""

    def lines(self) -> Iterator[str]:
        """A line a part: how many pairs, and what is left out."""
        for part, listed in self.parts.items():
            yield f"{part}: {len(listed)} images with masks, {self.left_out.of(part)}"


def pairs(root: Path, ending: str = "") -> Pairs:
    """List {train,test,val}/{images,masks}/ below ``root``, or images/ and masks/ at once, and read classes.txt.

    A mask has its image's name below the folder, less the suffix, and ``ending``. Where there are training and `val`
    images and no test images, `val` is tested on. What has no partner is in `faults`. Raises DasError where there are
    no such folders, or classes.txt is missing or names less than two.
    """
    if not root.is_dir():
        raise DasError(f"{root}: no such folder of images and masks")
    classes = _classes(root / CLASSES)
    folders = part_folders(root) or {WHOLE: root}
    if WHOLE not in folders and "train" not in folders:
        raise DasError(f"{root}: holds {', '.join(f.name + '/' for f in folders.values())} and no train/")
    left_out, faults = LeftOut(), []
    listed = {part: tuple(_matched(root, part, folder, ending, left_out, faults)) for part, folder in folders.items()}
    parts, notes = settled(listed)
    for part, files in parts.items():
        least = sum(LEAST.values()) if part == WHOLE else LEAST[part]
        if len(files) < least:
            faults.append(f"{folders.get(part, root)}: {len(files)} images have a mask; at least {least} are needed")
    return Pairs(root, classes, parts, left_out, tuple(faults), tuple(notes))


def is_paired(root: Path) -> bool:
    """Whether a folder is laid out as images beside masks."""
    if not root.is_dir():
        return False
    folders = [folder for folder in visible(root) if folder.name.lower() in PARTS]
    return any({"images", "masks"} <= {inside.name.lower() for inside in visible(f)} for f in (root, *folders))


def _classes(file: Path) -> tuple[str, ...]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise DasError(
            f"{file}: not found; write the names of the classes there, one a line, in the masks' order"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DasError(f"{file}: cannot be read ({error}); write it in UTF-8") from None
    names = tuple(filter(None, map(str.strip, lines)))
    if not 2 <= len(names) <= IGNORE:
        raise DasError(f"{file}: names {len(names)} classes; write 2 to {IGNORE}, one a line, in the masks' order")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DasError(f"{file}: names {twice[0]!r} twice; name each class once")
    return names


def _matched(
    root: Path, part: str, folder: Path, ending: str, left_out: LeftOut, faults: list[str]
) -> Iterator[tuple[Path, Path]]:
    inside = {entry.name.lower(): entry for entry in visible(folder)}
    if missing := [name for name in ("images", "masks") if name not in inside]:
        raise DasError(f"{folder / missing[0]}: not found; images lie in images/, their masks in masks/")
    images = _by_name(part, inside["images"], pictures.SUFFIXES, "", left_out, faults)
    labels = _by_name(part, inside["masks"], masks.SUFFIXES, ending, left_out, faults)
    for name, image in images.items():
        if name in labels:
            yield image, labels[name]
        else:
            wanted = f"{inside['masks'].relative_to(root) / name}{ending}.png"
            faults.append(f"{image.relative_to(root)} has no mask {wanted}")
    faults += [f"{labels[name].relative_to(root)} has no image" for name in labels if name not in images]


def _by_name(
    part: str, folder: Path, suffixes: frozenset[str], ending: str, left_out: LeftOut, faults: list[str]
) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in walk(folder, left_out.aside):
        name = file.relative_to(folder).with_suffix("").as_posix()
        if file.suffix.lower() not in suffixes or not name.endswith(ending):
            left_out.suffixes[part][file.suffix.lower() or "without suffix"] += 1
        elif (short := name.removesuffix(ending)) in found:
            faults.append(f"{file}: is named as {found[short].name} is; keep one")
        else:
            found[short] = file
    return found


@dataclass(frozen=True)
class Look:
    """What one look at an image and its mask finds: pixels of each class, int64 (classes,), None where the mask cannot
    be read; what is damaged, and what is wrong with files that can be read."""

    counts: np.ndarray | None
    damaged: tuple[str, ...]
    wrong: tuple[str, ...]


def look(image: Path, mask: Path, table: masks.Table) -> Look:
    """Read the mask whole, and of its image the header."""
    counts, damaged, wrong, seen, turned = None, [], [], None, ""
    try:
        with pictures.opened(pictures.content(image), image) as picture:
            width, height = picture.size
            sideways = pictures.orientation(picture) > 4
            seen, turned = ((width, height), ", turned as its EXIF data say") if sideways else ((height, width), "")
    except Damaged as error:
        damaged.append(str(error))
    try:
        labels = table.read(pictures.content(mask), mask)
        counts = np.bincount(labels.ravel(), minlength=IGNORE + 1)[: table.classes]
        if seen and labels.shape != seen:
            wrong.append(f"{mask}: mask is {labels.shape}, its image {seen}{turned}")
    except masks.Wrong as error:
        wrong.append(str(error))
    except Damaged as error:
        damaged.append(str(error))
    return Look(counts, tuple(damaged), tuple(wrong))


def shares(classes: Sequence[str], looks: Sequence[Look]) -> list[str]:
    """A line a class: its share of the pixels that count, in how many masks it is, and the weight that would balance it
    (Eigen & Fergus 2015, section 6.3.2: the median of all classes' frequencies over the class's own, which is its share
    of the pixels of those masks that hold it)."""
    pixels = _pixels(classes, looks)
    held = pixels > 0
    frequency = pixels.sum(0) / np.maximum((held * pixels.sum(1, keepdims=True)).sum(0), 1)
    lines = []
    for k, name in enumerate(classes):
        line = f"{name}: {pixels[:, k].sum() / max(pixels.sum(), 1):.2%} of the pixels that count, "
        line += f"in {held[:, k].sum()} of {len(pixels)} masks"
        if frequency[k]:
            line += f", balanced by the weight {np.median(frequency[frequency > 0]) / frequency[k]:.3g}"
        lines.append(line)
    return lines


def absent(classes: Sequence[str], looks: Sequence[Look]) -> str | None:
    """A line on the classes that no mask holds; None where there is none such."""
    held = _pixels(classes, looks).any(0)
    names = [repr(name) for name, there in zip(classes, held, strict=True) if not there]
    if not names:
        return None
    return (
        f"{len(names)} of {len(classes)} classes never occur in the masks: {', '.join(names)}; where 255 stands for a "
        "class and not for what is ignored, say so in options.values"
    )


def _pixels(classes: Sequence[str], looks: Sequence[Look]) -> np.ndarray:
    return np.array([one.counts for one in looks if one.counts is not None]).reshape(-1, len(classes))
