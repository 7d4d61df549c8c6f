"""What a study may say of augmentations, checked before anything runs."""

import inspect
import subprocess
import sys

import pytest

from das import augment
from das.errors import DasError
from das.study.augmentations import check_dataset, check_method, check_together, read
from das.study.registry import REQUIRED, entries

LISTED = [*entries("augmentation"), *entries("objective")]


@pytest.mark.parametrize("entry", LISTED, ids=lambda entry: entry.name)
def test_the_table_knows_each_augmentations_options_and_defaults(entry):
    made = entry.load()
    signatures = [inspect.signature(c.__init__) for c in made.__mro__ if "__init__" in vars(c)]
    parameters = {
        key: value
        for signature in signatures
        for key, value in signature.parameters.items()
        if key not in ("self", "classes", "model", "criterion", "arithmetic")
        and value.kind not in (value.VAR_POSITIONAL, value.VAR_KEYWORD)
    }
    assert set(entry.options) == set(parameters)
    for key, option in entry.options.items():
        default = parameters[key].default
        assert option.default == (REQUIRED if default is inspect.Parameter.empty else default)
    optional = {key: option.default for key, option in entry.options.items() if option.default is not REQUIRED}
    required = {"size": 8, "base": 8, "padding": 2, "degrees": 10, "augment": ["random_flip"]}
    entry.check(optional | {key: required[key] for key in entry.options.keys() - optional})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("nothing", "unknown"),
        ({"cutmix": {"alpha": 0}}, "cutmix.alpha: is 0; should be greater than 0"),
        ({"mixup": {"alpha": -0.5}}, "greater than 0"),
        ({"automix": {"alpha": float("nan")}}, "is nan"),
        ({"cutmix": {"beta": 1}}, "unknown option"),
        ("cutout", "cutout.size: is missing"),
        ({"patchmix": {"grid": 1}}, "greater than or equal to 2"),
        ({"randaugment": {"magnitude": 31}}, "less than or equal to 30"),
        ({"automix": {"momentum": [0.9999, 0.9]}}, "first <= last"),
        ({"yoco": {"augment": ["mixup"]}}, "has no place for mixup"),
        ({"yoco": {"augment": ["cutout"]}}, "cutout.size: is missing"),
        ({"mixup": {}, "cutmix": {}}, "one name"),
        ({"mixup": 3}, "mapping of options"),
    ],
)
def test_bad_entries_are_refused_in_one_line(entry, words):
    with pytest.raises(DasError) as caught:
        read(entry)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_mixing_has_its_place():
    assert list(check_method(["trivialaugment_wide", "cutmix"])) == []
    assert "come last" in next(iter(check_method(["cutmix", "trivialaugment_wide"])))
    assert "mix once" in next(iter(check_method(["mixup", "automix"])))
    assert list(check_dataset(["random_flip"])) == []
    assert "method's augment" in next(iter(check_dataset(["mixup"])))
    assert "method's augment" in next(iter(check_dataset(["faster_autoaugment"])))


def test_grids_and_label_maps_are_checked_against_the_data():
    patches = [{"patchmix": {"grid": 4}}]
    assert list(check_together(patches, dense=False, size=28)) == []
    assert "does not divide" in next(iter(check_together(patches, dense=False, size=30)))
    assert "label maps" in next(iter(check_together(["cutmix"], dense=True, size=64)))
    assert list(check_together(["random_flip"], dense=True, size=64)) == []


def test_names_cost_no_torch():
    code = "import sys, das.augment, das.study.registry as r; r.names('reader'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_build_leaves_objectives_to_the_training_step():
    steps = augment.build(["random_flip", "automix"], classes=4)
    assert [type(step).__name__ for step in steps] == ["RandomFlip"]
