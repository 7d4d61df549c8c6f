"""The card says what is so, and its code does what it says."""

import contextlib
import io
import json
import re
from math import sqrt

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageOps
from scipy import stats

import das
from das.cli.export import export as command
from das.data.crops import Center
from das.errors import DasError
from das.export import card as cards
from das.export.card import Origin, card
from das.export.formats import export
from das.study import load_study
from das.study.runs import of_method

ARGUMENTS = {
    "title": "pets",
    "size": (32, 32),
    "files": {"model.onnx": 2e-7},
    "checked": 5,
    "strip": "s.png",
    "shown": 3,
}


@pytest.fixture
def origin(tmp_path, monkeypatch):
    """A run of the quickstart, with numbers of two of its three seeds."""
    study = load_study(["params.yaml"])
    monkeypatch.chdir(tmp_path)
    for seed, accuracy in ((0, 0.8), (2, 0.9)):
        path = of_method(study, "fashion_mnist", "resnet8", "das", seed).number
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"metric": "accuracy", "last": {"accuracy": accuracy}}))
    monkeypatch.setattr(cards, "standing", lambda run: (run.number.exists(), None))
    return Origin(study, of_method(study, "fashion_mnist", "resnet8", "das", 0), 2000)


def front_matter(text):
    return yaml.safe_load(text.split("---\n")[1])


def test_what_was_measured_stands_in_front_matter_and_text(make_model, origin):
    text = card(make_model(fusion="tsm"), **ARGUMENTS, origin=origin)
    front = front_matter(text)
    assert front["pipeline_tag"] == "image-classification"
    result = front["model-index"][0]["results"][0]
    assert result["dataset"]["type"] == "fashion_mnist"
    assert result["metrics"] == [{"type": "accuracy", "value": 0.8}]
    n, p, z = 2000, 0.8, stats.norm.ppf(0.975)  # Wilson 1927
    middle, half = (p + z * z / 2 / n) / (1 + z * z / n), z / (1 + z * z / n) * sqrt(p * (1 - p) / n + (z / 2 / n) ** 2)
    assert f"80.0% accuracy on 2,000 test images; 95 % interval {middle - half:.1%} to {middle + half:.1%}" in text
    over = stats.t.ppf(0.975, 1) * np.std([0.8, 0.9], ddof=1) / sqrt(2)
    assert f"2 seeds: 85.0% ± {over:.1%}" in text
    assert "| recipe | sgd, 80 epochs, batches of 20, learning rate 0.1 (cosine)" in text
    assert "random_crop, random_flip" in text


def test_what_was_not_measured_says_so(make_model, origin):
    origin.run.number.unlink()
    for known in (origin, None):
        text = card(make_model(), **ARGUMENTS, origin=known)
        assert "model-index" not in front_matter(text)
        assert "## Accuracy\n\nNot measured.\n" in text


def test_the_cards_code_predicts(make_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6  # stored a quarter turn counterclockwise
    picture.save("photo.jpg", exif=turned)
    model = make_model(fusion="tsm")
    upright = Image.open("photo.jpg").transpose(Image.Transpose.ROTATE_270)
    pixels = np.asarray(ImageOps.fit(upright, (32, 32), Image.Resampling.BILINEAR), np.float32) / 255
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None].contiguous()
    export(model, tmp_path / "model.onnx", images)
    (code,) = re.findall(r"```python\n(.*?)```", card(model, **ARGUMENTS), re.S)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(code, names := {})
    np.testing.assert_array_equal(names["images"], images)
    with torch.no_grad():
        assert said.getvalue() == model.classes[int(model(images).argmax())] + "\n"


@pytest.mark.parametrize("channels", [1, 3])
def test_the_command_checks_on_pictures_of_ones_own(make_model, tmp_path, monkeypatch, capsys, channels):
    monkeypatch.chdir(tmp_path)
    model = make_model(channels=channels)
    das.save(model, "model.pt")
    arguments = {"checkpoint": tmp_path / "model.pt", "study_files": [tmp_path / "params.yaml"]}
    with pytest.raises(DasError, match=r"model.pt: is none of the study in .*; name pictures .* with --images$"):
        command(**arguments, out=tmp_path / "model.safetensors")
    (tmp_path / "pictures").mkdir()
    with pytest.raises(DasError, match=r"pictures: holds no picture"):
        command(**arguments, out=tmp_path / "model.safetensors", images=[tmp_path / "pictures"])
    for number in range(3):
        Image.effect_noise((60, 40), 40 + number).save(tmp_path / f"pictures/{number}.png")
    with pytest.raises(DasError, match="the checkpoint does not say how its pictures were framed"):
        command(**arguments, out=tmp_path / "model.safetensors", images=[tmp_path / "pictures"])
    model.framing = Center(32)
    das.save(model, "model.pt")
    command(**arguments, out=tmp_path / "model.safetensors", images=[tmp_path / "pictures"])
    assert capsys.readouterr().out.endswith("model.safetensors: differs by at most 0 on 3 images\n")
