"""One's own data are an input of every result: what changes in them is named at start, whatever the reader."""

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from das.errors import DasError
from das.files import publish
from das.seals import sealed
from das.study import check, load_study, results
from das.study.results import card_path, card_source
from das.study.runs import of_method
from das.study.sources import fetched, fingerprint, walk

ROOT = Path(__file__).parents[2]


def study(reader: str, root: str, **options):
    """A grid of one number."""
    base = load_study([ROOT / "params.yaml"]).model_dump()
    base["study"] |= {
        "name": "own",
        "datasets": ["mine"],
        "methods": ["baseline"],
        "seeds": [0],
        "reference": "baseline",
    }
    base["datasets"] = {"mine": {"title": "M", "reader": reader, "root": root, "recipe": "quick", "options": options}}
    if reader == "pairs":
        base["backbones"]["resnet8"]["head"] = {"network": "pspnet"}
    return check(base, "a test")


@pytest.fixture(params=["folder", "pairs", "arrays", "archive", "table"])
def own(request, tmp_path, monkeypatch):
    """(reader, path): data of one's own, for what a fingerprint sees of them: names and bytes."""
    monkeypatch.chdir(tmp_path)
    if request.param == "arrays":
        Path("own.npz").write_bytes(b"arrays")
        return "arrays", Path("own.npz")
    if request.param == "archive":
        with zipfile.ZipFile("own.zip", "w") as packed:
            packed.writestr("a/1.png", "x")
        return "folder", Path("own.zip")
    files = {"folder": ["a/1.png", "b/1.png"], "pairs": ["classes.txt", "train/images/1.png", "train/masks/1.png"]}
    for name in files.get(request.param, ["1.png", "labels.csv"]):
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(name)
    return ("pairs" if request.param == "pairs" else "folder"), Path("own")


def leave(asked) -> None:
    """The results of the study, as a run leaves them."""
    run = of_method(asked, "mine", "resnet8", "baseline", 0)
    for role, path in run.files.items():
        publish(path, role)
    found = {role: hashlib.sha256(role.encode()).hexdigest() for role in run.files}
    record = {"run": {"kind": run.kind, "study": run.study, **run.identity}, "files": found, "key": "k" * 64}
    publish(run.record, sealed(record | {"digests": {"settings": run.digest, "files": fingerprint(run.data)}}))
    publish(card_path(asked, "mine", 0), sealed({"made_from": card_source(run.data)}))


def test_what_changes_in_ones_own_data_is_named_at_start(own, tmp_path, monkeypatch):
    reader, root = own
    monkeypatch.setattr(results, "keep", lambda run, look: None)  # the store has a test of its own
    asked = study(reader, str(root))
    leave(asked)
    assert results.audit(asked) == {}
    victim = next(walk(root)) if root.is_dir() else root
    before, stat = victim.read_bytes(), victim.stat()
    unfit = {str(path): "was made from other images" for path in (
        card_path(asked, "mine", 0), of_method(asked, "mine", "resnet8", "baseline", 0).main
    )}  # fmt: skip
    named = lambda asked: {str(path): why for path, why in results.audit(asked).items()}  # noqa: E731

    os.utime(victim)  # touched, not changed
    assert named(asked) == {}
    victim.write_bytes(before[::-1])  # as long as it was
    assert named(asked) == unfit
    victim.write_bytes(before)
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert named(asked) == {}
    if root.is_dir():
        (root / "new.png").write_text("new")
        assert named(asked) == unfit
        (root / "new.png").unlink()
        (root / ".DS_Store").write_text("")
        (root / "Thumbs.db").write_text("")
        assert named(asked) == {}
    moved = root.rename(root.with_stem("elsewhere"))
    with pytest.raises(DasError, match=rf"root: {root} is not there; data set 'M'"):
        results.audit(asked)
    assert named(study(reader, str(moved))) == {}  # the same files in another place


def test_images_in_the_natural_place_are_not_to_be_fetched(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for reader in ("folder", "pairs"):
        assert not fetched(study(reader, "data/raw/mine").datasets["mine"])
    assert fetched(load_study([ROOT / "params.yaml", ROOT / "config/paper.yaml"]).datasets["cifar10"])


def test_a_fingerprint_ends_where_links_go_round_and_files_cannot_be_read(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    before = list(walk(tmp_path))
    (tmp_path / "a/up").symlink_to(tmp_path)
    (tmp_path / "a/gone.png").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "b/pipe.png")
    aside = []
    assert list(walk(tmp_path, lambda path, why: aside.append((path.name, why)))) == before
    assert aside == [
        ("gone.png", "links to nothing"),
        ("up", "links to a folder above it"),
        ("pipe.png", "no plain file"),
    ]
    (tmp_path / "c").symlink_to(tmp_path / "b")  # a link to a folder beside is followed
    assert len(list(walk(tmp_path))) == 3
