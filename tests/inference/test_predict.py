"""Predictions of pictures in files, against the data set's own reader and one image at a time."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from das import data
from das.cli.images import predict as command
from das.engine.checkpoint import checkpoint
from das.errors import DasError
from das.inference.label_maps import places
from das.inference.pictures import find, gray
from das.inference.predict import predict, table


def test_pictures_are_read_as_the_training_s_reader_reads_them(model, photos):
    """Of every picture, the probabilities are those of the image that the reader `folder` gives, taken alone."""
    shutil.copytree(photos, photos.parent / "parts/train")
    shutil.copytree(photos, photos.parent / "parts/test")
    dataset = data.load("folder", root=photos.parent / "parts", options={"size": model.framing.size})
    expected = [model(image[None].float() / 255).softmax(1)[0] for image in dataset.train.images]
    found = list(predict(model, [photos], batch_size=4))
    assert [said.file.parent.name for said in found] == ["ant", "ant", "bee", "bee", "cat", "cat"]
    for said, probabilities in zip(found, expected, strict=True):
        assert torch.allclose(said.shares, probabilities, atol=1e-5)
        assert said.label == model.classes[int(probabilities.argmax())]


def test_the_batch_and_the_threads_change_nothing(model, photos):
    alone = [said.shares for said in predict(model, [photos], batch_size=1, workers=1)]
    together = [said.shares for said in predict(model, [photos], batch_size=5, workers=4)]
    assert torch.allclose(torch.stack(alone), torch.stack(together), atol=1e-5)


def test_a_damaged_picture_is_a_row_that_says_so_and_the_rest_goes_on(model, photos):
    (photos / "bee" / "0.jpg").write_bytes((photos / "bee" / "0.jpg").read_bytes()[:80])
    (photos / "cat" / "2.png").write_text("no picture")
    rows = table(list(predict(model, [photos], batch_size=3)))
    bad = rows[rows.error != ""]
    assert [Path(file).name for file in bad.file] == ["0.jpg", "2.png"]
    assert bad.prediction.isna().all()
    good = rows[rows.error == ""]
    assert len(good) == 5
    assert np.allclose(good[[f"p_{name}" for name in model.classes]].sum(axis=1), 1, atol=1e-5)
    assert (good.probability == good[[f"p_{name}" for name in model.classes]].max(axis=1)).all()


def test_a_network_of_gray_images_reads_colored_ones_as_pillow_does(made, photos):
    said = list(predict(made(channels=1), [photos]))
    assert len(said) == 6
    colored = torch.randint(0, 256, (3, 50, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = np.asarray(Image.fromarray(colored.permute(1, 2, 0).numpy()).convert("L"))
    assert np.array_equal(gray(colored)[0].numpy(), expected)
    assert torch.equal(gray(colored[:1].expand(3, -1, -1)), colored[:1])


def test_files_folders_and_globs_are_found_once_in_their_order(photos, monkeypatch):
    (photos / ".hidden.png").write_bytes(b"")
    (photos / "notes.txt").write_text("")
    every = sorted(path for path in photos.rglob("*.*") if path.suffix in (".jpg", ".png") and path.name[0] != ".")
    assert find([photos]) == every
    assert find([photos / "*" / "*.png"]) == [path for path in every if path.suffix == ".png"]
    assert find([photos / "cat/1.png", photos / "cat"]) == [photos / "cat/1.png", photos / "cat/0.jpg"]
    monkeypatch.chdir(photos)
    assert find(["**/1.*"]) == [Path(name) / "1.png" for name in ("ant", "bee", "cat")]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.jpg", r"nowhere\.jpg: does not exist; name pictures, folders"),
        ("empty", r"empty: holds no picture \("),
        ("*.webp", r"\*\.webp: matches no picture"),
    ],
)
def test_paths_that_name_nothing_stop_before_the_work(model, tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    with pytest.raises(DasError, match=message):
        predict(model, [path])


def test_a_checkpoint_that_knows_no_framing_is_named(model, photos):
    model.framing = None
    with pytest.raises(DasError, match=r"does not say how its pictures were framed .* `framing`"):
        predict(model, [photos])


def interrupted_after(count):
    def interrupted(items, *_):
        for _, item in zip(range(count), items, strict=False):
            yield item
        raise KeyboardInterrupt

    return interrupted


def test_an_interruption_before_the_first_picture_leaves_what_was_there(model, photos, tmp_path, monkeypatch):
    (tmp_path / "model.pt").write_bytes(checkpoint(model))
    (tmp_path / "out.csv").write_text("of yesterday")
    monkeypatch.setattr("das.engine.progress.counted", interrupted_after(0))
    with pytest.raises(KeyboardInterrupt):
        command(tmp_path / "model.pt", [photos], csv=tmp_path / "out.csv", json=tmp_path / "out.json")
    assert (tmp_path / "out.csv").read_text() == "of yesterday"
    assert not (tmp_path / "out.json").exists()


def test_what_was_found_before_an_interruption_is_written(model, photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("das.engine.progress.counted", interrupted_after(4))
    (tmp_path / "model.pt").write_bytes(checkpoint(model))
    with pytest.raises(KeyboardInterrupt):
        command(tmp_path / "model.pt", [photos], csv=tmp_path / "out.csv", json=tmp_path / "out.json")
    whole = table(list(predict(model, [photos])))
    rows = pd.read_csv(tmp_path / "out.csv")
    assert list(rows.file) == list(whole.file)[:4]
    assert np.allclose(rows.probability, whole.probability[:4], atol=1e-5)
    assert len(json.loads((tmp_path / "out.json").read_text())["predictions"]) == 4
    assert "stopped after 4 of 6 pictures" in capsys.readouterr().err


def test_the_command_writes_tables_and_goes_on_past_damage(model, photos, tmp_path, capsys):
    (tmp_path / "model.pt").write_bytes(checkpoint(model))
    (photos / "cat" / "2.png").write_text("no picture")
    command(tmp_path / "model.pt", [photos], csv=tmp_path / "out.csv", json=tmp_path / "out.json")
    rows = pd.read_csv(tmp_path / "out.csv")
    documents = json.loads((tmp_path / "out.json").read_text())["predictions"]
    assert [row["file"] for row in documents] == list(rows.file)
    assert documents[0]["shares"]["bee"] == pytest.approx(rows.p_bee[0])
    assert "2.png" in documents[-1]["file"]
    assert "prediction" not in documents[-1]
    printed = capsys.readouterr()
    assert "| bee " in printed.out
    assert "1 of 7 pictures could not be read" in printed.err
    with pytest.raises(DasError, match=r"1 of 1 pictures could not be read: .*2\.png"):
        command(tmp_path / "model.pt", [photos / "cat/2.png"])
    with pytest.raises(DasError, match=r"--masks: .*model\.pt says one class of a picture"):
        command(tmp_path / "model.pt", [photos], masks=tmp_path / "masks")


def test_a_table_that_could_not_be_written_stops_before_the_work(model, photos, tmp_path):
    (tmp_path / "model.pt").write_bytes(checkpoint(model))
    with pytest.raises(DasError, match=r"photos: is a folder; name a file"):
        command(tmp_path / "model.pt", [photos], csv=photos)
    with pytest.raises(DasError, match=r"table\.csv: cannot be written; .*model\.pt is no folder"):
        command(tmp_path / "model.pt", [photos], csv=tmp_path / "model.pt" / "table.csv")


def test_label_maps_are_palette_pngs_in_the_set_s_colors_and_the_picture_s_size(segmentation, photos, tmp_path):
    (tmp_path / "model.pt").write_bytes(checkpoint(segmentation))
    where = {"masks": tmp_path / "masks", "overlays": tmp_path / "overlays"}
    command(tmp_path / "model.pt", [photos], csv=tmp_path / "out.csv", **where)
    rows = pd.read_csv(tmp_path / "out.csv")
    for number, file in enumerate(find([photos])):
        with Image.open(file) as picture:
            pixels = torch.from_numpy(np.array(picture.convert("RGB"))).permute(2, 0, 1)
        expected = segmentation(pixels[None].float() / 255)[0].argmax(0).numpy()
        place = Path(file.parent.name) / f"{file.stem}.png"
        with Image.open(tmp_path / "masks" / place) as mask:
            assert mask.mode == "P"
            labels = np.array(mask)
            shown = np.asarray(mask.convert("RGB"))
        if file.suffix == ".png":  # JPEG decoders differ in the last bit
            assert np.array_equal(labels, expected)
        assert labels.shape == expected.shape
        assert np.array_equal(shown, np.array(segmentation.colors, dtype=np.uint8)[labels])
        for label, name in enumerate(segmentation.classes):
            assert rows[f"share_{name}"][number] == pytest.approx((labels == label).mean(), abs=1e-6)
        with Image.open(tmp_path / "overlays" / place) as drawn:
            assert drawn.width > drawn.height


def test_pictures_that_differ_by_their_suffix_keep_it():
    names = ["a/1.jpg", "a/1.png", "a/2.jpg", "b/1.jpg"]
    made = places([Path("/x") / name for name in names])
    assert [str(place) for place in made.values()] == ["a/1.jpg.png", "a/1.png.png", "a/2.png", "b/1.png"]
    assert [str(place) for place in places([Path("/x/a/1.jpg")]).values()] == ["1.png"]
