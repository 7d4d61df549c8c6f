"""What is in a folder of one's own images: which file is of which class and part. Paths only: nothing is decoded, and
nothing here imports torch."""

import csv
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from das.data.pictures import SUFFIXES
from das.errors import DasError
from das.study.sources import FOREIGN, walk

PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "val"
)
WHOLE = "whole"  # the one part of a folder that is not divided
LABELS = "labels.csv"
Target = TypeVar("Target")
LEAST = {"train": 2, "test": 1}  # images of a class: a search cuts the training images into halves


@dataclass
class LeftOut:
    """Files that are not read: by class and suffix, hidden and foreign ones, and those that cannot be read."""

    suffixes: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    hidden: list[Path] = field(default_factory=list)
    beside: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)

    def aside(self, path: Path, why: str) -> None:
        """Take note of what `das.study.sources.walk` leaves out."""
        if why in ("hidden", "foreign"):
            self.hidden.append(path)
        elif path.suffix.lower() in SUFFIXES or path.is_dir():
            self.unreadable[path] = why
        else:
            self.beside.append(path)

    def of(self, name: str) -> str:
        """How many files of a class are ignored, and of what kind."""
        found = self.suffixes.get(name, Counter())
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(found.items()))
        return f"{found.total()} ignored" + (f" ({kinds})" if kinds else "")

    def broken(self) -> list[str]:
        """The images and folders that cannot be read, each with the reason."""
        return [f"{path}: {why}" for path, why in self.unreadable.items()]

    def lines(self) -> Iterator[str]:
        """What is left out besides, a line a kind."""
        if self.hidden:
            yield f"left out: {len(self.hidden)} hidden files or leftovers of operating systems, as {self.hidden[0]}"
        if self.beside:
            yield f"left out: {len(self.beside)} files beside the folders of classes, as {self.beside[0]}"


@dataclass(frozen=True)
class Listed(Generic[Target]):
    """Images of one's own by part (`train`, `test`, or all as `whole`): (file, its target)."""

    root: Path
    classes: tuple[str, ...]
    parts: Mapping[str, tuple[tuple[Path, Target], ...]]
    left_out: LeftOut
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def divided(self) -> bool:
        """Whether the test images are told from the training images."""
        return WHOLE not in self.parts


@dataclass(frozen=True)
class Images(Listed[int]):
    """Images, each with the place of its class."""

    def counts(self, part: str, held_out: float) -> list[int]:
        """Images of each class in `train` or `test`; ``held_out`` is the share that is tested on where nothing says."""
        found = Counter(label for _, label in self.parts.get(part if self.divided else WHOLE, ()))
        sizes = [found[label] for label in range(len(self.classes))]
        if self.divided:
            return sizes
        tested = shares(sizes, held_out)
        return tested if part == "test" else [size - test for size, test in zip(sizes, tested, strict=True)]

    def poor(self, held_out: float) -> Iterator[str]:
        """Classes with too few images, each with the number that it needs."""
        train, test = (self.counts(part, held_out) for part in ("train", "test"))
        for name, trained, tested in zip(self.classes, train, test, strict=True):
            if trained >= LEAST["train"] and tested >= LEAST["test"]:
                continue
            if self.divided:
                yield (
                    f"class {name!r} has {trained} training and {tested} test images; "
                    f"{LEAST['train']} and {LEAST['test']} are needed"
                )
            else:
                yield (
                    f"class {name!r} has {trained + tested} images; {needed(held_out)} are needed, "
                    f"so that a share of {held_out:g} is held out for testing"
                )

    def lines(self, held_out: float, damaged: Mapping[str, int] | None = None) -> Iterator[str]:
        """A line a class: images to train and to test on, files left out, and (where it is known) damaged ones."""
        train, test = (self.counts(part, held_out) for part in ("train", "test"))
        for name, trained, tested in zip(self.classes, train, test, strict=True):
            bad = f", {damaged.get(name, 0)} damaged" if damaged is not None else ""
            yield f"{name}: {trained} to train on, {tested} to test on, {self.left_out.of(name)}{bad}"


def images(root: Path, labels: str | None = None) -> Images:
    """List the images below ``root``: a folder a class, below `train`, `test`, `val` folders or at once; or as a CSV of
    file, label and perhaps split says (``labels``, a file in ``root``; by default labels.csv, where there is one).

    Where there are training and `val` images and no test images, `val` is tested on. All that is wrong is in `faults`.
    Raises DasError where there is no such folder.
    """
    if not root.is_dir():
        raise DasError(f"{root}: no such folder of images")
    table = root / (labels or LABELS)
    found = _by_table(root, table) if labels or table.is_file() else _by_folders(root)
    parts, notes = settled(found.parts)
    alike = defaultdict(list)
    for name in found.classes:
        alike[" ".join(name.lower().split())].append(repr(name))
    notes += [f"classes {' and '.join(names)} differ in case or spaces only" for names in alike.values() if names[1:]]
    return replace(found, parts=parts, notes=(*found.notes, *notes))


def shares(sizes: Sequence[int], share: float) -> list[int]:
    """How many of each class a stratified split holds out (`das.data.splits.holdout`)."""
    held, before = [], 0
    for size in sizes:
        held.append(int((before + size) * share + 1e-9) - int(before * share + 1e-9))
        before += size
    return held


def needed(share: float) -> int:
    """The least number of images of a class that surely gives both parts of a split as many as they need."""
    size = sum(LEAST.values())
    while int(size * share + 1e-9) < LEAST["test"] or size - int(-(-size * share // 1)) < LEAST["train"]:
        size += 1
    return size


def refuse(root: Path, faults: Sequence[str], most: int = 5) -> None:
    """Raise DasError in one line if there are any ``faults``: their number, and the first of them."""
    if faults:
        rest = f"; … ({len(faults)} in all; `das check {root}` lists them)" if len(faults) > most else ""
        raise DasError(f"{root}: {'; '.join(faults[:most])}{rest}")


def repetitions(root: Path, parts: Mapping[str, Sequence[tuple[Path, object]]]) -> Iterator[str]:
    """A line on test images that are training images, too, and one on images that are there twice with two labels; in a
    folder that is not divided yet, on all that are there twice. Files are compared by their bytes."""
    by_size = defaultdict(list)
    for part, listed in parts.items():
        for file, label in listed:
            by_size[file.stat().st_size].append((file, part, label))
    seen_twice, two_labels = [], []
    for group in by_size.values():
        first: dict[str, tuple[Path, str, object]] = {}
        for file, part, label in group if len(group) > 1 else ():
            known, other_part, other_label = first.setdefault(
                hashlib.sha256(file.read_bytes()).hexdigest(), (file, part, label)
            )
            same = f"{file.relative_to(root)} is {known.relative_to(root)}"
            if known != file and (part == WHOLE or part != other_part):
                seen_twice.append(same)
            if known != file and label != other_label and isinstance(label, int):
                two_labels.append(same)
    whose = "images are there twice" if WHOLE in parts else "test images are among the training images"
    for pairs, what in ((seen_twice, whose), (two_labels, "images are in two classes")):
        if pairs:
            yield f"repeated: {len(pairs)} {what}: {'; '.join(pairs[:3])}{'; …' if len(pairs) > 3 else ''}"


def part_folders(root: Path) -> dict[str, Path]:
    """{part: its folder} of the sub-folders of ``root`` that are named as parts, in any case, and hold folders.

    Raises DasError where two have one meaning.
    """
    found: dict[str, Path] = {}
    for folder in visible(root):
        part = PARTS.get(folder.name.lower())
        if part and any(visible(folder)):
            if part in found:
                raise DasError(f"{root}: holds {found[part].name}/ and {folder.name}/, which both say {part}; keep one")
            found[part] = folder
    return found


def visible(folder: Path) -> Iterator[Path]:
    """Folders in ``folder`` that count, in the order of their names."""
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith(".") and entry.name not in FOREIGN:
            yield entry


def _by_folders(root: Path) -> Images:
    parts, left_out, notes = part_folders(root), LeftOut(), []
    if parts and "train" not in parts:
        raise DasError(
            f"{root}: holds {' and '.join(f'{p.name}/' for p in parts.values())} and no train/; "
            "add train/ with a folder a class"
        )
    if not parts:
        parts = {WHOLE: root}
        if (classes := list(visible(root))) and all(folder.name.lower() in PARTS for folder in classes):
            raise DasError(
                f"{root}: its folders {', '.join(f'{f.name}/' for f in classes)} hold no folders of classes; "
                f"make one a class in each, or name the classes in {LABELS} (file,label,split)"
            )
    classes = sorted({folder.name for part in parts.values() for folder in visible(part)})
    if len(classes) < 2:
        where = parts.get("train", root)
        raise DasError(f"{where}: holds {len(classes)} class folders; at least 2 are needed, one a class")
    place = {name: label for label, name in enumerate(classes)}
    listed: dict[str, tuple[tuple[Path, int], ...]] = {}
    for part, folder in parts.items():
        inside = []
        for file in walk(folder, left_out.aside):
            name, *below = file.relative_to(folder).parts
            if not below:
                left_out.beside.append(file)
            elif file.suffix.lower() in SUFFIXES:
                inside.append((file, place[name]))
            else:
                left_out.suffixes[name][file.suffix.lower() or "without suffix"] += 1
        listed[part] = tuple(inside)
    if WHOLE not in parts:
        others = [f"{folder.name}/" for folder in visible(root) if folder not in parts.values()]
        if others:
            notes.append(f"not read: {', '.join(others)} beside {parts['train'].name}/")
    return Images(root, tuple(classes), listed, left_out, notes=tuple(notes))


def settled(parts: Mapping[str, tuple]) -> tuple[dict[str, tuple], list[str]]:
    """The parts that are trained and tested on, and what does not go without saying of them."""
    parts, notes = dict(parts), []
    if "val" in parts:
        validation = parts.pop("val")
        if "test" in parts:
            notes.append(f"not read: {len(validation)} validation images; tested is on the test images alone")
        else:
            parts["test"] = validation
            notes.append(f"no test images: the {len(validation)} validation images are tested on")
    if "train" in parts and "test" not in parts:
        parts = {WHOLE: parts["train"]}
        notes.append("no test images: a share of the training images is held out and tested on")
    return {part: parts[part] for part in ("train", "test", WHOLE) if part in parts}, notes


# -- labels from a table ---------------------------------------------------------------------------------------------


def _by_table(root: Path, table: Path) -> Images:
    left_out, faults, notes = LeftOut(), [], []
    there = {file.relative_to(root).as_posix(): file for file in walk(root, left_out.aside)}
    seen: dict[str, tuple[str, str]] = {}
    for number, row in _rows(table):
        name = PurePosixPath(row["file"].replace("\\", "/")).as_posix()
        label, split = row["label"], row.get("split", "")
        where = f"{table.name}, line {number}"
        if not row["file"] or not label:
            faults.append(f"{where}: has no {'label' if row['file'] else 'file'}")
        elif root / name in left_out.unreadable:
            seen[name] = label, split  # named among what cannot be read
        elif name not in there:
            faults.append(f"{where}: {row['file']!r} is not in {root}")
        elif there[name].suffix.lower() not in SUFFIXES:
            faults.append(f"{where}: {name!r} is no image ({', '.join(sorted(SUFFIXES))})")
        elif split and split.lower() not in PARTS:
            faults.append(f"{where}: split is {split!r}; should be train, val or test")
        elif name in seen and seen[name] != (label, split):
            faults.append(f"{where}: {name!r} is {label!r} here and {seen[name][0]!r} above")
        else:
            seen[name] = label, split
    classes = sorted({label for label, _ in seen.values()})
    if len(classes) < 2:
        faults.append(f"{table}: names {len(classes)} labels; at least 2 are needed")
    place = {name: label for label, name in enumerate(classes)}
    listed = defaultdict(list)
    for name, (label, split) in seen.items():
        if name in there:
            listed[PARTS[split.lower()] if split else WHOLE].append((there[name], place[label]))
    if WHOLE in listed and len(listed) > 1:
        count = len(listed[WHOLE])
        faults.append(f"{table}: {count} files have no split and others do; fill the column or leave it out")
        listed = {WHOLE: [one for part in listed.values() for one in part]}
    elif listed and WHOLE not in listed and "train" not in listed:
        faults.append(f"{table}: no file has the split train")
    unnamed = [n for n, file in there.items() if file.suffix.lower() in SUFFIXES and n not in seen]
    if unnamed:
        notes.append(f"not read: {len(unnamed)} images that {table.name} does not name, as {unnamed[0]}")
    parts = {part: tuple(sorted(files)) for part, files in listed.items()} or {WHOLE: ()}
    return Images(root, tuple(classes), parts, left_out, tuple(faults), tuple(notes))


def _rows(table: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, {column: value}) of a table's rows. Raises DasError for one that is not there or has not the columns."""
    try:
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DasError(f"{table}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise DasError(f"{table}: is not UTF-8; save it as CSV in UTF-8") from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        reader = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
        columns = [name.strip().lower() for name in next(reader, [])]
        if not {"file", "label"} <= set(columns):
            begins = head.strip()[:80]
            raise DasError(f"{table}: its first line is {begins!r}; should be file,label or file,label,split")
        for row in reader:
            if any(value.strip() for value in row):
                cells = [value.strip() for value in row] + [""] * len(columns)
                yield reader.line_num, dict(zip(columns, cells, strict=False))
    except csv.Error as error:
        raise DasError(f"{table}, line {reader.line_num}: is no CSV ({error})") from None
