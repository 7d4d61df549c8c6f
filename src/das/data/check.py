"""What is in a folder of one's own images, and what is wrong with it, before any study: `das check`. No torch here."""

import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from das.data import listing, masks, paired, pictures, unpacked
from das.data.colors import voc
from das.data.pictures import Damaged
from das.errors import DasError
from das.files import publish

SIDE, COLUMNS = 96, 8  # of the contact sheet: pixels of a picture, pictures of a class
MOST_CLASSES = 50  # on a contact sheet
ENOUGH = 200  # images that make processes worth their start
SMALL = 256  # pixels that a JPEG is decoded to when nobody looks at it


@dataclass
class Report:
    """What a check found: ``lines`` to be read, ``faults`` that would stop a training."""

    lines: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Seen:
    """One image: its size (height, width) upright, what is unusual, why it cannot be decoded, a small copy."""

    size: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()
    fault: str | None = None
    small: np.ndarray | None = None


def check(path: Path, labels: str | None, held_out: float, sheet: Path | None = None) -> Report:
    """Look at every file below ``path``: a folder or an archive of images as the reader `folder` takes it, or of images
    and masks as `pairs` does. ``sheet`` is where a picture of some of them goes.

    Raises DasError for a layout that cannot be read as meant, and where the sheet cannot be written.
    """
    with unpacked.for_a_while(path) as root:
        if paired.is_paired(root):
            return _check_pairs(root, sheet)
        return _check_images(root, labels, held_out, sheet)


def _check_images(root: Path, labels: str | None, held_out: float, sheet: Path | None) -> Report:
    found = listing.images(root, labels)
    files = [(file, label) for part in found.parts.values() for file, label in part]
    shown = _spread([label for _, label in files], len(found.classes)) if sheet else set()
    seen = _in_parallel(look, [file for file, _ in files], [k in shown for k in range(len(files))])
    damaged = Counter(found.classes[label] for (_, label), one in zip(files, seen, strict=True) if one.fault)
    for broken in found.left_out.unreadable:
        damaged.update({*broken.relative_to(root).parts} & {*found.classes})
    report = Report([*found.lines(held_out, damaged), *found.notes, *found.left_out.lines()])
    report.lines += [*_sizes(seen), *_notes(seen), *listing.repetitions(root, found.parts)]
    report.faults += [*found.faults, *found.poor(held_out), *found.left_out.broken()]
    report.faults += [one.fault for one in seen if one.fault]
    if sheet:
        rows = [
            (name, [seen[k] for k in sorted(shown) if files[k][1] == label]) for label, name in enumerate(found.classes)
        ]
        _draw(sheet, rows)
    return report


def _check_pairs(root: Path, sheet: Path | None) -> Report:
    found = paired.pairs(root)
    table = masks.Table(len(found.classes))
    both = [pair for part in found.parts.values() for pair in part]
    shown = _spread([0] * len(both), 1) if sheet else set()
    seen = _in_parallel(look, [image for image, _ in both], [k in shown for k in range(len(both))])
    looks = _in_parallel(paired.look, *zip(*both, strict=True), [table] * len(both)) if both else []
    report = Report([*found.lines(), *found.notes, *found.left_out.lines()])
    report.lines += [*_sizes(seen), *_notes(seen), *paired.shares(found.classes, looks)]
    report.lines += [*filter(None, [paired.absent(found.classes, looks)]), *listing.repetitions(root, found.parts)]
    report.faults += [*found.faults, *found.left_out.broken()]
    for one, other in zip(seen, looks, strict=True):
        report.faults += dict.fromkeys([*([one.fault] if one.fault else []), *other.damaged, *other.wrong])
    if sheet:
        drawn = [(seen[k], _colored(both[k][1], table)) for k in sorted(shown)]
        _draw(sheet, [("images", [one for one, _ in drawn]), ("masks", [mask for _, mask in drawn])])
    return report


def look(file: Path, keep: bool = False) -> Seen:
    """Decode an image whole; ``keep`` a small copy of it."""
    try:
        with pictures.opened(pictures.content(file), file) as picture:
            notes = tuple(_unusual(picture))
            height, width = picture.height, picture.width
            size = (width, height) if pictures.orientation(picture) > 4 else (height, width)
            if keep:
                small = Image.fromarray(pictures.rgb(picture))
                small.thumbnail((SIDE, SIDE))
                return Seen(size, notes, small=np.array(small))
            picture.draft("RGB", (SMALL, SMALL))  # a JPEG is read whole all the same
            picture.load()
            return Seen(size, notes)
    except Damaged as error:
        return Seen(fault=str(error))


def _unusual(picture: Image.Image) -> Iterator[str]:
    if pictures.orientation(picture) != 1:
        yield "turned upright as their EXIF data say"
    if picture.mode.startswith("F") or picture.mode == "I":
        yield "gray floats or whole numbers of 32 bits: scaled to 0 to 255 each by itself, or from [0, 1]"
    elif pictures.deep(picture):
        yield "of 16 bits a channel: 65535 becomes 255"
    if picture.has_transparency_data:
        yield "with transparency: laid over white"
    if getattr(picture, "n_frames", 1) > 1 and picture.format != "MPO":
        yield "of several frames or pages: the first is taken"


def _sizes(seen: Sequence[Seen]) -> Iterator[str]:
    sizes = Counter(one.size for one in seen if one.size)
    if sizes:
        often = ", ".join(f"{height} x {width} ({count})" for (height, width), count in sizes.most_common(3))
        yield f"sizes, height x width: {often}" + (f", {len(sizes) - 3} others" if len(sizes) > 3 else "")


def _notes(seen: Sequence[Seen]) -> Iterator[str]:
    for note, count in sorted(Counter(note for one in seen for note in one.notes).items()):
        yield f"{count} images {note}"


def _in_parallel(work: Callable, *columns: Sequence) -> list:
    """``work`` of each row, from one process a core: decoders hold Python's lock."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    rows = len(columns[0])
    if rows < ENOUGH or cores == 1:
        return list(map(work, *columns))
    with ProcessPoolExecutor(cores) as pool:
        return list(pool.map(work, *columns, chunksize=max(1, min(64, rows // (4 * cores)))))


# -- the contact sheet -----------------------------------------------------------------------------------------------


def _spread(labels: Sequence[int], classes: int) -> set[int]:
    """Places of COLUMNS images of each of the first classes, evenly spread over the class."""
    places = [[k for k, label in enumerate(labels) if label == wanted] for wanted in range(min(classes, MOST_CLASSES))]
    return {own[k * len(own) // COLUMNS] for own in places for k in range(COLUMNS) if own}


def _colored(mask: Path, table: masks.Table) -> Seen:
    try:
        labels = table.read(pictures.content(mask), mask)
    except Damaged as error:
        return Seen(fault=str(error))
    small = Image.fromarray(np.array(voc(masks.IGNORE + 1), np.uint8)[labels])
    small.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
    return Seen(small=np.array(small))


def _draw(sheet: Path, rows: Sequence[tuple[str, Sequence[Seen]]]) -> None:
    """A row a class, its name above; what cannot be decoded is a crossed box."""
    text, gap = 14, 4
    step = SIDE + text + gap
    page = Image.new("RGB", (COLUMNS * (SIDE + gap) + gap, max(len(rows), 1) * step + gap), "white")
    pen = ImageDraw.Draw(page)
    for row, (name, shown) in enumerate(rows):
        top = row * step + gap
        pen.text((gap, top), name, fill="black")
        for column, one in enumerate(shown):
            corner = (gap + column * (SIDE + gap), top + text)
            if one.small is not None:
                page.paste(Image.fromarray(one.small), corner)
            else:
                end = (corner[0] + SIDE - 1, corner[1] + SIDE - 1)
                pen.rectangle((corner, end), outline="red")
                pen.line((corner, end), fill="red")
    out = io.BytesIO()
    try:
        page.save(out, Image.registered_extensions().get(sheet.suffix.lower(), "PNG"))
    except (OSError, ValueError) as error:
        raise DasError(f"{sheet}: cannot be written as a picture ({error}); use .png") from None
    publish(sheet, out.getvalue())
