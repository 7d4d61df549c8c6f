"""The page's figures: whatever was drawn, as it is, with a caption and a link to its numbers."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from das.report import captions
from das.report.tables import link
from das.study import registry
from das.study.products import figures_of
from das.study.runs import RESULTS, searches_of
from das.study.schema import Study

MIME = {".svg": "image/svg+xml", ".png": "image/png"}
#: A page that holds more bytes of figures takes long to open; the others are links.
MOST = 8 * 2**20


@dataclass(frozen=True)
class Drawing:
    """A figure: ``data`` is its content as a URL, None where the page has no more room; ``size`` (width, height) in
    pixels, None of what has none."""

    name: str
    title: str
    caption: str
    file: str
    numbers: str
    data: str | None
    size: tuple[int, int] | None


def drawn(study: Study) -> Iterator[Drawing]:
    """The study's figures that are there, in the order of `figures_of`, then others by name."""
    folder = RESULTS / "figures" / study.name
    files = {path.stem: path for suffix in (".svg", ".png") for path in sorted(folder.glob(f"*{suffix}"))}
    known = figures_of(study)
    room = MOST
    for name in sorted(files, key=lambda name: (known.index(name) if name in known else len(known), name)):
        path = files[name]
        size = path.stat().st_size
        data = url(path.read_bytes(), MIME[path.suffix]) if size <= room else None
        room -= size if data else 0
        caption = captions.text("figure", name)
        yield Drawing(name, title(name), caption, link(path), link(numbers_of(study, name)), data, pixels(path))


def pixels(path: Path) -> tuple[int, int] | None:
    """Width and height of a picture; None of a drawing, and of what cannot be read."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except (OSError, UnidentifiedImageError):
        return None


def url(content: bytes, mime: str) -> str:
    """``content`` as a data URL."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def title(name: str) -> str:
    return name.replace("_", " ").capitalize()


def numbers_of(study: Study, name: str) -> Path:
    """Where the numbers that a figure shows are: a table beside it, a policy, or all numbers of the study."""
    main = registry.lookup("task", study.task).facts["tables"][0]
    policies = {f"film_strip_{run.dataset}_{run.backbone}_{run.name}_seed{run.seed}": run.main
                for run in searches_of(study)}  # fmt: skip
    searches = RESULTS / "tables" / study.name / "search.csv"
    known = {
        **dict.fromkeys(("overview", "accuracy", "compute"), RESULTS / "tables" / study.name / f"{main}.csv"),
        **dict.fromkeys(("alpha", "tournaments"), searches),
        **policies,
    }
    beside = [RESULTS / kind / study.name / f"{name}.csv" for kind in ("figures", "tables")]
    tries = [*([known[name]] if name in known else []), *beside]
    return next((path for path in tries if path.exists()), RESULTS / "numbers" / study.name)
