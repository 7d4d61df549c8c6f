"""The register of results: append-only, each line what the run's files say; what moved, by its definition."""

import csv

import numpy as np
import pytest
from scipy import stats

from das.analysis import register
from das.analysis.moved import chosen, moved, picture
from das.errors import DasError
from das.study import check, of_study

SCORES = {"baseline": [0.5, 0.52, 0.54], "wide": [0.6, 0.63, 0.6]}


def study():
    return check(
        {
            "study": {"name": "made", "datasets": ["pictures"], "backbones": ["small"], "methods": list(SCORES),
                      "seeds": [0, 1, 2], "reference": "baseline"},
            "datasets": {"pictures": {"title": "CIFAR-10", "reader": "cifar10", "recipe": "short",
                                      "options": {"train_per_class": 100}}},
            "backbones": {"small": {"title": "ResNet-18", "network": "resnet18_cifar"}},
            "recipes": {"short": {"epochs": 3, "batch_size": 10, "lr": 0.1}},
            "methods": {"baseline": {"title": "Single frame"}, "wide": {"title": "Wide", "augment": ["cutmix"]}},
        },
        "made",
    )  # fmt: skip


@pytest.fixture
def make(tmp_path, monkeypatch, leave):
    """Leave the study's numbers, each moved by ``by``, as made at a commit on a device."""
    monkeypatch.chdir(tmp_path)

    def make(commit: str, day: int, by: float = 0, device: str = "one") -> int:
        for run in of_study(study()):
            score = SCORES[run.method][run.seed] + by * (run.method == "wide")
            content = {"metric": "accuracy", "last": {"accuracy": score}}
            leave(run, content, key=f"{run.method}{run.seed}".ljust(64, "0"), git_commit=commit,
                  made=f"2026-01-{day:02}T00:00:00+00:00", packages={"torch": "2.11"},
                  machine={"device": device, "python": "3.12"})  # fmt: skip
        return register.append(study())

    return make


def test_the_register_only_grows(make):
    assert make("aaaaaaa1", 1) == 6
    first = register.REGISTER.read_text()
    assert make("aaaaaaa1", 1) == 0
    assert register.REGISTER.read_text() == first
    assert make("bbbbbbb2", 2, by=0.1) == 6
    assert make("ccccccc3", 3, device="two") == 6
    assert make("ddddddd4", 4, by=0.2, device="two") == 6
    assert register.REGISTER.read_text().startswith(first)
    with register.REGISTER.open() as file:
        lines = list(csv.DictReader(file))
    same, other = (f"made again: {what} bytes" for what in ("same", "other"))
    moved = [same] * 3 + [other] * 3  # the baseline is what it was, `wide` is not
    assert [line["tier"] for line in lines] == ["made"] * 6 + moved + [same] * 6 + moved
    assert [float(line["score"]) for line in lines[:6]] == [*SCORES["baseline"], *SCORES["wide"]]
    assert {line["commit"] for line in lines} == {"aaaaaaa1", "bbbbbbb2", "ccccccc3", "ddddddd4"}


def test_a_number_that_cannot_stand_is_not_registered(make):
    make("aaaaaaa1", 1)
    register.REGISTER.unlink()
    run = next(iter(of_study(study())))
    run.number.write_text(run.number.read_text().replace("0.5", "0.9"))
    assert register.append(study()) == 5


def test_two_sides_of_a_merge_are_read(make):
    make("aaaaaaa1", 1)
    text = register.REGISTER.read_text()
    register.REGISTER.write_text(text + text.splitlines()[0] + "\n")
    assert len(register.read()) == 6


def test_what_moved_beyond_the_noise(make):
    make("aaaaaaa1", 1)
    make("bbbbbbb2", 2, by=0.2)
    lines = register.read()
    table = moved(chosen(lines, "aaaaaaa1"), chosen(lines, "bbbbbbb")).set_index("method")
    for method, before in SCORES.items():
        after = np.add(before, 0.2 * (method == "wide"))
        assert table.difference[method] == pytest.approx(100 * np.mean(after - before))
        half = stats.t.ppf(0.975, 2) * np.std(before, ddof=1) * np.sqrt(2 / 3)
        assert table.noise[method] == pytest.approx(100 * half)
    assert table.beyond.to_dict() == {"baseline": False, "wide": True}
    assert picture(table.reset_index(), "a", "b").startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["nope", "aaaa"])
def test_what_names_nothing_is_said(make, name):
    make("aaaaaaa1", 1)
    with pytest.raises(DasError, match=f"'{name}' names nothing in the register; there are .*aaaaaaa1"):
        chosen(register.read(), name)


def test_nothing_in_common_is_said(make):
    make("aaaaaaa1", 1)
    lines = register.read()
    with pytest.raises(DasError, match="no data set, backbone, method and seed in common"):
        moved(lines[:3], lines[3:])
