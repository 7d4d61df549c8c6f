"""Pictures that a person names, found and read as a model's test read its own."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from das.data import decode
from das.data.crops import Framing
from das.data.pictures import SUFFIXES
from das.data.sets import FileSet
from das.errors import DasError
from das.tasks.classification import DasModel

LUMA = torch.tensor([19595, 38470, 7471])  # of red, green and blue, in 65536ths: ITU-R BT.601, as Pillow rounds it


def find(paths: Iterable[str | Path]) -> list[Path]:
    """The files that ``paths`` name, each once, in their order: files as they are; of folders every picture below, by
    name; globs (``photos/**/*.jpg``).

    Raises DasError for what is not there, and for a folder or glob without a picture.
    """
    found: dict[Path, None] = {}
    for path in map(Path, paths):
        if path.is_dir():
            files = _pictures(path.rglob("*"))
            if not files:
                raise DasError(f"{path}: holds no picture ({', '.join(sorted(SUFFIXES))})")
        elif path.exists():
            files = [path]
        elif any(character in str(path) for character in "*?["):
            base = Path(path.anchor) if path.is_absolute() else Path()
            files = _pictures(base.glob(str(path.relative_to(base))))
            if not files:
                raise DasError(f"{path}: matches no picture ({', '.join(sorted(SUFFIXES))})")
        else:
            raise DasError(f"{path}: does not exist; name pictures, folders of pictures, or globs")
        found |= dict.fromkeys(files)
    if not found:
        raise DasError("no picture is named; name pictures, folders of pictures, or globs")
    return list(found)


def _pictures(paths: Iterable[Path]) -> list[Path]:
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith(".") and p.is_file())


def framing_of(model: DasModel) -> Framing:
    """How the model's test framed pictures. Raises DasError where the checkpoint does not say."""
    if model.framing is None:
        raise DasError(
            "the checkpoint does not say how its pictures were framed (it was trained on arrays); "
            "set the model's `framing`"
        )
    return model.framing


def read(
    files: Sequence[Path],
    model: DasModel,
    *,
    framing: Framing | None = None,
    ahead: int = 128,
    workers: int | None = None,
) -> Iterator[Tensor | decode.Damaged]:
    """Yield each file's image, uint8 (C, S, S) or of its own size, as the model's test reads it; for one that cannot be
    read, the error. Another ``framing`` than the test's may be asked for. At most ``ahead`` are decoded before they are
    asked for, by ``workers`` threads (None: one a core).
    """
    framing, channels = framing or framing_of(model), len(model.mean)
    pictures = FileSet(Path(), tuple(files), torch.zeros(len(files), dtype=torch.int64), framing.size)

    def one(index: int) -> Tensor | decode.Damaged:
        try:
            picture, _ = pictures.item(index, framing, ())
        except decode.Damaged as error:
            return error
        except OSError as error:
            return decode.Damaged(f"{files[index]}: cannot be read ({error.strerror})")
        return picture if channels == 3 else gray(picture)

    with ThreadPoolExecutor(workers or decode.cores()) as pool:
        pending: deque = deque()
        try:
            for index in range(len(files)):
                pending.append(pool.submit(one, index))
                if len(pending) > ahead:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def gray(picture: Tensor) -> Tensor:
    """The luma of uint8 (3, H, W), uint8 (1, H, W); what is gray already keeps its values."""
    return ((picture.int() * LUMA.view(3, 1, 1)).sum(0, keepdim=True) + 0x8000 >> 16).to(torch.uint8)
