"""Settings are chosen on held-out training images: never on the test set, with the same budget, and recorded."""

from pathlib import Path

import pytest
import torch
import yaml

from das.data import splits
from das.data.sets import Dataset, ImageSet
from das.engine.tune import trials, tune, with_settings, write_chosen
from das.errors import DasError
from das.files import read_json
from das.study import check, of_method, of_tuning


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("x").touch()


def content(**tuning) -> dict:
    return {
        "study": {"name": "made", "datasets": ["made"], "backbones": ["small"], "methods": ["plain", "cutout"],
                  "seeds": [0], "reference": "plain"},
        "datasets": {"made": {"title": "made", "reader": "arrays", "root": "x", "recipe": "short"}},
        "backbones": {"small": {"title": "small", "network": "resnet8", "options": {"width": 8}}},
        "recipes": {"short": {"epochs": 3, "batch_size": 10, "lr": 0.1}},
        "methods": {
            "plain": {"title": "plain"},
            "cutout": {"title": "cutout", "augment": [{"cutout": {"size": 16}}, {"mixup": {"alpha": 1.0}}]},
        },
        "tuning": {"trials": 3, "grids": {"cutout": {"cutout.size": [2, 40], "mixup.alpha": [0.1, 1.0, 2.0]}}} | tuning,
    }  # fmt: skip


def run_of(study):
    return of_tuning(study, "made", "small", "cutout")


def dataset() -> Dataset:
    """Bright and dark images: told apart by anything but an image that Cutout has blackened whole."""

    def read(split: str) -> ImageSet:
        assert split == "train", "the test set was read"
        labels = torch.arange(60) % 2
        noise = torch.randint(0, 60, (60, 1, 16, 16), generator=torch.Generator().manual_seed(0))
        return ImageSet((noise + 150 * labels.view(-1, 1, 1, 1)).to(torch.uint8), labels)

    return Dataset("made", read, ("dark", "bright"))


def test_every_method_has_the_same_number_of_trials_from_its_grid():
    study = check(content(), "made")
    tried = trials(run_of(study))
    assert len(tried) == 3
    assert len({tuple(point.items()) for point in tried}) == 3
    assert trials(run_of(study)) == tried
    other = [trials(run_of(check(content(seed=seed), "made"))) for seed in range(8)]
    assert any(points != tried for points in other)
    whole = trials(run_of(check(content(trials=100), "made")))
    assert whole == [{"cutout.size": s, "mixup.alpha": a} for s in (2, 40) for a in (0.1, 1.0, 2.0)]
    with pytest.raises(DasError, match="plain: is missing"):
        trials(of_tuning(study, "made", "small", "plain"))


def test_settings_go_where_they_belong():
    run = with_settings(run_of(check(content(), "made")), {"mixup.alpha": 0.1})
    assert run.how.augment == [{"cutout": {"size": 16}}, {"mixup": {"alpha": 0.1}}]


def test_the_record_holds_every_trial_and_the_better_one_is_chosen():
    study = check(content(trials=6), "made")
    run = run_of(study)
    tune(run, dataset(), None)
    record = read_json(run.main)
    assert (record["trained_on"], record["scored_on"], record["metric"]) == (48, 12, "accuracy")
    parts = splits.read(run.files["split"], digest=dataset().train.digest)
    assert torch.equal(torch.cat([parts["trained_on"], parts["scored_on"]]).sort().values, torch.arange(60))
    assert len(parts["scored_on"]) == 12
    assert [trial["settings"] for trial in record["trials"]] == trials(run)
    scores = {
        size: [t["scores"][-1] for t in record["trials"] if t["settings"]["cutout.size"] == size] for size in (2, 40)
    }
    assert min(scores[2]) == 1.0 > max(scores[40])
    chosen = yaml.safe_load(write_chosen(study).read_text())
    best = next(t for t in record["trials"] if t["scores"] == max(x["scores"] for x in record["trials"]))
    assert chosen == {"methods": {"cutout": {"tuned": {"made": {"small": best["settings"]}}}}}
    layered = content()
    layered["methods"]["cutout"] |= chosen["methods"]["cutout"]
    assert of_method(check(layered, "x"), "made", "small", "cutout", 0).how.augment == [
        {"cutout": {"size": best["settings"]["cutout.size"]}}, {"mixup": {"alpha": best["settings"]["mixup.alpha"]}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("grids", "words"),
    [
        ({"nobody": {"cutout.size": [1]}}, "is no method"),
        ({"plain": {"cutout.size": [1]}}, "no such augmentation; it has none"),
        ({"cutout": {"cutmix.alpha": [1]}}, "it has cutout, mixup"),
        ({"cutout": {"cutout.size": []}}, "is empty"),
        ({"cutout": {"mixup.alpha": [0.5, 0]}}, "mixup.alpha: is 0; should be greater than 0"),
        ({"cutout": {"mixup.beta": [0.5]}}, "unknown option"),
    ],
)
def test_impossible_grids_are_refused_at_start(grids, words):
    with pytest.raises(DasError, match=r"tuning\.grids") as caught:
        check(content(grids=grids), "made")
    assert words in str(caught.value)
