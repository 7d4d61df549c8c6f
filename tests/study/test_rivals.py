"""Methods that stand on other methods' runs: what they read, what they depend on, and what is refused at start."""

from pathlib import Path

import pytest

from das.errors import DasError
from das.study import load_study, of_method, results

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "params.yaml", ROOT / "config/rivals.yaml"]


def layered(tmp_path, text):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(text)
    return load_study([*FILES, overlay])


def run(method, seed=0, study=None):
    return of_method(study or load_study(FILES), "fashion_mnist", "resnet8", method, seed)


def test_an_ensembles_first_member_is_the_methods_own_run_and_no_two_share_one():
    members = [[(one.name, one.seed) for one in run("ensemble", seed).weights] for seed in (0, 7)]
    assert members == [[("baseline", seed + 1000 * m) for m in range(4)] for seed in (0, 7)]
    ensemble = run("ensemble", 7)
    places = ["baseline/seed7", "baseline/seed1007", "baseline/seed2007", "baseline/seed3007"]
    read = [f"results/checkpoints/rivals/fashion_mnist/resnet8/{place}.pt" for place in places]
    assert [str(path) for path in ensemble.read_files.values()] == read
    assert ensemble.trained.digest == run("baseline", 7).digest


def test_shorter_members_train_a_share_of_the_epochs():
    recipe = load_study(FILES).recipes["quick"].epochs
    assert [one.epochs for one in run("ensemble_equal_training").weights] == [round(recipe / 4)] * 4
    assert run("ensemble").trained.epochs == recipe


def test_a_learned_average_reads_both_networks_and_its_policy():
    found = {role: path.parts[-4:] for role, path in run("baseline_tta_learned").read_files.items()}
    place = ("fashion_mnist", "resnet8")
    assert found == {
        "policy": (*place, "searched", "seed0.yaml"),
        "checkpoint": (*place, "baseline", "seed0.pt"),
        "checkpoint 1": (*place, "baseline_held_out", "seed0.pt"),
    }


def test_everything_comes_after_what_it_reads():
    seen = set()
    for one in results.everything(load_study(FILES)):
        assert {other.main for other in one.reads.values()} <= seen
        seen.add(one.main)
    assert run("baseline", 3002).main in seen


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("methods: {baseline_held_out: {held_out: 0.3}}", {"baseline_held_out", "baseline_tta_learned"}),
        ("methods: {baseline_tta_learned: {averaging: {lr: 0.1}}}", {"baseline_tta_learned"}),
        ("methods: {baseline_quarter: {epochs_share: 0.5}}", {"ensemble_equal_training"}),
        ("methods: {ensemble: {ensemble_of: {members: 5}}}", {"ensemble"}),
        ("methods: {batch_augmentation: {copies: 2}}", {"batch_augmentation"}),
        ("backbones: {resnet8_wide: {options: {width: 31}}}", {"wide"}),
        ("searches: {smooth: {smooth: {radius: [0, 0.1]}}}", {"das_smooth"}),
    ],
)
def test_digests_follow_what_a_rival_depends_on_and_nothing_else(tmp_path, text, changed):
    before, after = (
        {name: run(name, study=study).digest for name in study.study.methods}
        for study in (load_study(FILES), layered(tmp_path, text))
    )
    assert {name for name in before if before[name] != after[name]} == changed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("methods: {ensemble: {ensemble_of: {method: bassline}}}", ["ensemble_of.method", "'bassline'", "baseline"]),
        ("methods: {ensemble: {ensemble_of: {method: baseline_tta}}}", ["ensemble_of.method", "no weights of its own"]),
        ("methods: {ensemble: {ensemble_of: {members: 1}}}", ["ensemble_of.members", "is 1", "2"]),
        ("methods: {ensemble: {policy: random}}", ["methods.ensemble", "members say policy themselves"]),
        ("methods: {ensemble: {held_out: 0.2}}", ["methods.ensemble", "trains nothing (ensemble_of)", "held_out"]),
        ("methods: {baseline_tta: {copies: 2}}", ["methods.baseline_tta", "trains nothing (weights_of)", "copies"]),
        ("study: {seeds: [0, 1000]}", ["study.seeds", "1000", "below 1000"]),
        ("methods: {baseline_tta_learned: {averaging: {learned_on: baseline}}}", ["learned_on", "give it held_out"]),
        ("methods: {baseline_tta_learned: {averaging: {learned_on: bass}}}", ["learned_on", "'bass'"]),
        ("methods: {baseline_tta_learned: {weights_of: null}}", ["averaging", "say which in weights_of"]),
        ("methods: {baseline_tta_learned: {policy: null}}", ["policy", "needs frames to average"]),
        ("methods: {baseline_tta_learned: {consensus: max_features}}", ["consensus", "averaging takes its place"]),
        (
            "methods: {baseline_tta_learned: {weights_of: das}}",
            ["methods.baseline_tta_learned.fusion", "'tsm'", "'das'"],
        ),
        ("methods: {wide: {backbone: resnet9}}", ["methods.wide.backbone", "'resnet9'", "resnet8_wide"]),
        ("methods: {baseline_tta: {weights_of: wide}}", ["methods.baseline_tta.backbone", "'resnet8_wide'", "'wide'"]),
        ("methods: {tiled: {consensus: mean_logits}}", ["methods.tiled.consensus", "one prediction"]),
        ("methods: {augerino: {policy: random}}", ["methods.augerino.policy", "makes its own copies"]),
        ("methods: {baseline: {held_out: 1.0}}", ["methods.baseline.held_out", "1.0", "less than 1"]),
        ("methods: {a: {title: A, epochs_share: 2, equal_compute_to: das}}", ["epochs_share", "already says"]),
        ("backbones: {resnet8: {options: {receptive_field: wide}}}", ["receptive_field", "'wide'", "dilated"]),
        ("searches: {smooth: {relaxation: gumbel}}", ["searches.smooth.smooth", "'gumbel' has none"]),
        ("searches: {smooth: {smooth: {kind: worst}}}", ["searches.smooth.smooth.kind", "'worst'", "adversarial"]),
    ],
)
def test_what_cannot_work_is_refused_at_start(tmp_path, text, words):
    with pytest.raises(DasError) as error:
        layered(tmp_path, text)
    assert len(str(error.value).splitlines()) == 1
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        (
            "{operation: translate_x, range: 0.3, canvas: 40}",
            ["planted.range", "[-0.3, 0.3]", "leaves its canvas of 40", "0.15"],
        ),
        ("{operation: translate_y, range: 0.01}", ["planted.range", "leaves its canvas of 28"]),
        ("{operation: zoom, range: 1.5, canvas: 40}", ["planted.range", "[0.666667, 1.5]", "1.43"]),
        ("{operation: zoom, range: [0, 1]}", ["planted.range", "above 0"]),
        ("{operation: rotate, range: [30, 10]}", ["planted.range", "the lower one first"]),
        ("{operation: rotate, range: 200}", ["planted.range", "within -180 and 180"]),
        ("{operation: rotate, range: 10, canvas: 20}", ["planted.canvas", "at least the image's side of 28"]),
        ("{operation: shear_x, range: 0.1}", ["planted.operation", "'shear_x'", "rotate"]),
        ("{operation: rotate}", ["planted.range", "is missing"]),
    ],
)
def test_nuisances_that_have_no_place_are_refused_at_start(tmp_path, planted, words):
    with pytest.raises(DasError) as error:
        layered(tmp_path, f"datasets: {{fashion_mnist: {{planted: {planted}}}}}")
    for word in words:
        assert word in str(error.value)


def test_images_in_files_and_label_maps_take_no_nuisance(tmp_path):
    planted = "planted: {operation: rotate, range: 9}"
    own = f"{{title: A, reader: folder, root: a, recipe: quick, options: {{stream: true}}, {planted}}}"
    with pytest.raises(DasError, match="needs images in memory"):
        layered(tmp_path, f"datasets: {{own: {own}}}")
    tiles = f"{{title: A, reader: land_cover_embedded, recipe: quick, {planted}}}"
    with pytest.raises(DasError, match="not label maps"):
        layered(tmp_path, f"datasets: {{tiles: {tiles}}}")
