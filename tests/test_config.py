"""The study loader: what it resolves, and what it refuses, by key, value and what is allowed."""

import subprocess
import sys
from pathlib import Path

import pytest

from das.errors import DasError
from das.study import load_study, of_method, of_study, of_tuning

ROOT = Path(__file__).parents[1]
PARAMS = ROOT / "params.yaml"


def layered(tmp_path, text):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text)
    return load_study([PARAMS, overlay])


@pytest.mark.parametrize("name", sorted(file.stem for file in (ROOT / "config").glob("*.yaml")))
def test_every_study_that_comes_with_the_project_is_valid(name):
    below = {"paper_imagenet": ["paper"], "planted": ["rivals"], "small_data": ["rivals"]}
    below |= {f"small_data_{one}": ["rivals", "small_data"] for one in ("cifar10", "curve", "main", "mnist")}
    files = [ROOT / "config" / f"{study}.yaml" for study in [*below.get(name, []), name]]
    assert of_study(load_study([PARAMS, *files]))


def test_the_study_is_read_without_importing_torch():
    code = "import sys; from das.study import load_study; load_study(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("studdy: {}", ["studdy", "unknown key", "allowed", "methods"]),
        ("methods: {das: {polcy: searched}}", ["methods.das.polcy", "unknown key", "policy"]),
        ("searches: {quick: {alpha: {lx: 1}}}", ["searches.quick.alpha.lx", "unknown key", "betas"]),
        ("study: {seeds: [-1]}", ["study.seeds.0", "-1", "greater than or equal to 0"]),
        ("study: {seeds: [1, 1]}", ["study.seeds", "[1, 1]", "once"]),
        ("study: {methods: [das]}", ["study.reference", "'baseline'", "study.methods"]),
        ("study: {methods: [baseline, dass]}", ["study.methods", "'dass'", "das_nofusion"]),
        ("recipes: {quick: {epochs: '8'}}", ["recipes.quick.epochs", "'8'", "whole number"]),
        ("recipes: {quick: {lr: -0.1}}", ["recipes.quick.lr", "-0.1", "greater than 0"]),
        ("recipes: {quick: {lr: .nan}}", ["recipes.quick.lr", "nan"]),
        ("cells: {quick: {space: affin5}}", ["cells.quick.space", "'affin5'", "affine5"]),
        ("cells: {quick: {frames: 0}}", ["cells.quick.frames", "0"]),
        ("datasets: {fashion_mnist: {reader: fashion}}", ["datasets.fashion_mnist", "'fashion'", "cifar10"]),
        ("datasets: {fashion_mnist: {options: {per_class: 3}}}", ["options.per_class", "train_per_class"]),
        ("datasets: {fashion_mnist: {augment: [cutmixx]}}", ["augment", "cutmixx", "random_flip"]),
        ("backbones: {resnet8: {network: resnet9}}", ["backbones.resnet8.network", "'resnet9'", "resnet20"]),
        ("methods: {das: {policy: serched}}", ["methods.das.policy", "'serched'", "searched"]),
        ("methods: {das: {fusion: tms}}", ["methods.das.fusion", "'tms'", "tsm"]),
        ("methods: {baseline: {fusion: tsm}}", ["methods.baseline.fusion", "one frame", "'none'"]),
        ("methods: {baseline_tta: {fusion: tsm}}", ["methods.baseline_tta.fusion", "'none'", "'baseline'"]),
        ("methods: {a: {title: A, weights_of: baseline_tta}}", ["methods.a.weights_of", "no weights of its own"]),
        ("policies: {searched: {source: random}}", ["policies.searched", "'random' does not use"]),
        ("policies: {random: {source: search}}", ["policies.random.search", "is missing"]),
        (
            "datasets: {own: {title: Own, reader: fashion_mnist_embedded, recipe: quick, splits: 3}}",
            ["own.splits", "options.train_per_class"],
        ),
        ("datasets: {fashion_mnist: {splits: 1}}", ["fashion_mnist.splits", "greater than or equal to 2"]),
        (
            "datasets: {fashion_mnist: {splits: 3, options: {train_per_class: 5, split: 1}}}",
            ["fashion_mnist.splits", "options.split"],
        ),
        ("methods: {baseline_tta: {tuned: {fashion_mnist: {resnet8: {recipe.lr: 0.1}}}}}", ["trains nothing"]),
        ("compute: {threads: 0}", ["compute.threads", "0"]),
        ("methods: {das: {title: A, title: B}}", ["title", "twice"]),
        ("methods: [", ["not valid YAML"]),
        ("- 1", ["list", "mapping"]),
    ],
)
def test_bad_studies_are_refused_by_key_value_and_what_is_allowed(tmp_path, text, words):
    with pytest.raises(DasError) as error:
        layered(tmp_path, text)
    for word in ("overlay.yaml", *words):
        assert word in str(error.value)
    assert all("overlay.yaml" in line for line in str(error.value).splitlines()), "each problem is one line"


def test_a_missing_file_is_named():
    with pytest.raises(DasError, match=r"nowhere\.yaml: cannot be read"):
        load_study([PARAMS, "nowhere.yaml"])


def test_layers_override_mappings_key_by_key_and_replace_lists(tmp_path):
    base, study = load_study([PARAMS]), layered(tmp_path, "study: {seeds: [7]}\nrecipes: {quick: {lr: 3e-3}}")
    assert study.study.seeds == [7]
    assert study.recipes["quick"].lr == 0.003
    assert study.recipes["quick"].epochs == base.recipes["quick"].epochs


def test_settings_of_a_number_change_exactly_with_what_it_depends_on(tmp_path):
    def digests(study):
        return {(run.method, run.seed): run.digest for run in of_study(study)}

    before = digests(load_study([PARAMS]))
    searched = {"das", "das_nofusion"}
    after = digests(layered(tmp_path, "searches: {quick: {epochs: 99}}"))
    assert {key[0] for key in before if before[key] != after[key]} == searched
    after = digests(layered(tmp_path, "study: {name: other}\nmethods: {das: {title: Another title}}"))
    assert before == after
    after = digests(layered(tmp_path, "recipes: {quick: {lr: 0.5}}"))
    assert all(before[key] != after[key] for key in before)


def changed(section, **values):
    return section.model_copy(update=values)


def test_keys_that_came_later_change_no_digest_until_they_ask_for_something():
    """The digest of a tuning of config/competitors.yaml, as it was at commit b758033 with the values of then."""
    study = load_study([PARAMS, ROOT / "config/competitors.yaml"])
    quick = {"epochs": 6, "batch_size": 64, "weight_decay": 5e-4, "test_every": 1}
    study = changed(
        study,
        datasets={"fashion_mnist": changed(study.datasets["fashion_mnist"], options={}, splits=None)},
        backbones={"resnet8": changed(study.backbones["resnet8"], options={"width": 16})},
        recipes={"quick": changed(study.recipes["quick"], **quick)},
        tuning=changed(study.tuning, fraction=0.2),
    )
    run = of_tuning(study, "fashion_mnist", "resnet8", "cutmix")
    assert run.digest == "b3b768afe5fe8bc6"
    asked = changed(study, tuning=changed(study.tuning, tests=2))
    assert of_tuning(asked, "fashion_mnist", "resnet8", "cutmix").digest != run.digest


def test_seeds_take_turns_in_the_splits_of_a_data_set(tmp_path):
    """Every method of a seed, its search too, reads the split seed mod splits; a seed's further networks (from 1000 on)
    read what the seed reads."""
    study = layered(tmp_path, "datasets: {fashion_mnist: {splits: 3, options: {train_per_class: 50}}}")
    runs = {seed: of_method(study, "fashion_mnist", "resnet8", "das", seed) for seed in (0, 1, 2, 3, 4, 1004, 2002)}
    read = {seed: run.data.options for seed, run in runs.items()}
    assert {seed: options["split"] for seed, options in read.items()} == {
        0: 0,
        1: 1,
        2: 2,
        3: 0,
        4: 1,
        1004: 1,
        2002: 2,
    }
    assert all(run.made_by.data.options == run.data.options for run in runs.values())
    assert runs[0].digest == runs[3].digest != runs[1].digest
    assert runs[1].settings["dataset"]["options"] == {"train_per_class": 50, "split": 1}


def test_equal_compute_trains_as_many_frames_as_the_other_method():
    study = load_study([PARAMS])
    das = of_method(study, "fashion_mnist", "resnet8", "das", 0)
    control = of_method(study, "fashion_mnist", "resnet8", "baseline_equal_compute", 0)
    assert control.epochs * 1 == das.epochs * study.cells["quick"].frames


def test_paths_are_the_contract():
    run = of_method(load_study([PARAMS]), "fashion_mnist", "resnet8", "baseline_tta", 2)
    assert str(run.number) == "results/numbers/quickstart/fashion_mnist/resnet8/baseline_tta/seed2.json"
    assert str(run.made_by.main) == "results/policies/quickstart/fashion_mnist/resnet8/searched/seed2.yaml"
    assert str(run.trained.checkpoint) == "results/checkpoints/quickstart/fashion_mnist/resnet8/baseline/seed2.pt"
