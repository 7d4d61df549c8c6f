"""Every file of tests/faults/crafted.py is refused at once, in words that name it and what is wrong."""

import json
import os

import pytest
import torch
from tests.faults.crafted import CASES, model

from das.errors import DasError
from das.files import read_json


@pytest.mark.parametrize("case", CASES)
def test_crafted_files_are_refused(case, tmp_path, monkeypatch):
    of, content, words = CASES[case]
    monkeypatch.chdir(tmp_path)
    said, seconds = of(content, tmp_path)
    assert words in said
    assert "x.yaml" in said or "x.pt" in said
    assert len(said.splitlines()) <= 21
    assert seconds < 2
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "\x00", "[" * 100_000, '{"a": 1}{'])
def test_damaged_json_is_one_line(text, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DasError, match=r"x\.json: (is not valid JSON|holds \w+, not a JSON object)[^\n]*$"):
        read_json(tmp_path / "x.json")
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    assert read_json(tmp_path / "x.json") == {"a": 1}


def test_what_is_no_file_is_not_opened(tmp_path):
    from das.engine.checkpoint import load_model
    from das.video.policy import Policy

    os.mkfifo(tmp_path / "x.yaml")  # opened, it would wait for ever
    for path in (tmp_path / "x.yaml", tmp_path, "/dev/zero"):
        with pytest.raises(DasError, match="is no file"):
            Policy.load(path)
    with pytest.raises(DasError, match="is a folder"):
        load_model(tmp_path)
    with pytest.raises(DasError, match="snakemake --cores all"):
        load_model(tmp_path / "none.pt")


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.rand(2, 1, 8, 8) * 255, r"values from [\d.]+ to 2\d\d"),
        (torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8), "of torch.uint8"),
        (torch.rand(2, 1, 8, 8).double(), "of torch.float64"),
        (torch.full((2, 1, 8, 8), float("nan")), "values from nan"),
        (torch.rand(2, 1, 8, 8) * 5 - 2.5, "values from -2"),
        (
            torch.rand(2, 3, 8, 8),
            r"\(2, 3, 8, 8\) of torch.float32; the model reads torch.float32 in \[0, 1\], \(B, 1,",
        ),
        (torch.rand(1, 8, 8), r"\(1, 8, 8\)"),
        (torch.rand(2, 4, 1, 8, 8), r"\(2, 4, 1, 8, 8\)"),
        (torch.rand(2, 1, 8, 8).numpy(), "is ndarray"),
    ],
    ids=["0 to 255", "bytes", "double", "nan", "normalized", "channels", "one image", "video", "numpy"],
)
def test_images_of_another_kind_are_refused_by_the_model(images, words):
    network = model().eval()
    with torch.no_grad():
        assert network(torch.rand(2, 1, 8, 8)).shape == (2, 3)  # and after a good batch as before it
        with pytest.raises(DasError, match=f"images: .*{words}"):
            network(images)
