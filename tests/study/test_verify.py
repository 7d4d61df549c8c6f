"""What `das verify` says of results by their hashes alone, and `das audit` of what is stale."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from tests.faults.work import in_place
from tests.study.published import FACTS, STUDY, leave, number

from das.errors import DasError
from das.files import publish
from das.seals import SEAL, read_sealed, sealed
from das.study import load_study, products, recorded, results, verify
from das.study.remaking import stale

ROOT = Path(__file__).parents[2]
CONTENT = {key: STUDY[key] for key in STUDY if key != "tuning"}
NUMBERS, POLICIES = Path("results/numbers/made/own/small"), Path("results/policies/made/own/small")
CHECKPOINTS = Path("results/checkpoints/made/own/small")
ONE, CARD = NUMBERS / "video/seed0.json", Path("results/data/made/own.json")


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The study, all of whose results, cards and tables are there."""
    monkeypatch.chdir(tmp_path)
    Path("data").symlink_to(ROOT / "data")
    Path("images.npz").write_bytes(b"images")
    Path("params.yaml").write_text(yaml.safe_dump(CONTENT))
    study = load_study(["params.yaml"])
    for run in results.everything(study):
        leave(run)
    for card, data in results.cards(study).items():
        publish(card, sealed({"made_from": results.card_source(data)}))
    with products.making(study, "tables") as folder:
        publish(folder / "accuracy.csv", "name,accuracy\nplain,25\n")
    return study


def faults(study, *wanted) -> dict[Path, str]:
    return {result.path: result.fault for result in verify.trace(study, wanted) if result.fault}


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace("e", "a", 1))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def flip(path: Path) -> None:
    """One bit, without a new time of modification."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    in_place(path, bytes(content))


def exchange(one: Path, other: Path) -> None:
    for suffix in (one.suffix, ".run.json"):
        shutil.copy(other.with_suffix(suffix), one.with_suffix(suffix))


def stale_settings() -> None:
    content = {**CONTENT, "recipes": {"short": {**CONTENT["recipes"]["short"], "lr": 0.2}}}
    Path("params.yaml").write_text(yaml.safe_dump(content))


#: What is done, the result that is named, and what is said of it.
DAMAGE = {
    "a number is edited": (lambda: edit(ONE), ONE, "is not the file that was made"),
    "a number is cut short": (lambda: cut(ONE), ONE, "is not the file that was made"),
    "a number is lost": (ONE.unlink, ONE, "is not here"),
    "a number and its record are another's": (
        lambda: exchange(ONE, NUMBERS / "video/seed1.json"), ONE, "belongs to another run"
    ),
    "a record is edited": (lambda: edit(ONE.with_suffix(".run.json")), ONE, "its seal does not fit"),
    "a record is lost": (ONE.with_suffix(".run.json").unlink, ONE, "is missing, which would say what it was made from"),
    "a bit of a checkpoint flips": (lambda: flip(CHECKPOINTS / "video/seed0.pt"), ONE, "seed0.pt is not the file"),
    "a checkpoint is another's": (
        lambda: shutil.copy(CHECKPOINTS / "plain/seed0.pt", CHECKPOINTS / "video/seed0.pt"), ONE, "seed0.pt is not"
    ),
    "weights that a test reads are damaged": (
        lambda: flip(CHECKPOINTS / "plain/seed0.pt"), NUMBERS / "tested/seed0.json", "from another checkpoint"
    ),
    "a policy is edited": (lambda: edit(POLICIES / "found/seed0.yaml"), ONE, "from another policy"),
    "a policy is another's": (
        lambda: exchange(POLICIES / "found/seed0.yaml", POLICIES / "found/seed1.yaml"), ONE, "from another policy"
    ),
    "a search's history is edited": (
        lambda: edit(POLICIES / "found/seed0.history.json"), POLICIES / "found/seed0.yaml", "is not the file"
    ),
    "a search's halves are lost": (
        (POLICIES / "found/seed0.halves.json").unlink, POLICIES / "found/seed0.yaml", "is missing"
    ),
    "an image changes": (lambda: Path("images.npz").write_bytes(b"Images"), ONE, "from other images"),
    "a card is edited": (lambda: edit(CARD), CARD, "seal does not fit"),
    "a setting changes": (stale_settings, ONE, "was made with other settings"),
    "a table is edited": (
        lambda: edit(Path("results/tables/made/accuracy.csv")),
        Path("results/tables/made/tables.made_from.json"),
        "accuracy.csv is not the file that was made",
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_kind_of_damage_is_found_and_what_it_does_not_reach_is_not_blamed(made, damage):
    assert faults(made) == {}
    do, where, said = DAMAGE[damage]
    do()
    study = load_study(["params.yaml"])
    assert said in faults(study)[where]
    unscathed = NUMBERS / "plain/seed1.json"
    assert (unscathed in faults(study)) == (damage in ("an image changes", "a setting changes"))
    if where == ONE:
        assert said in faults(study, ONE)[where]
        assert not faults(study, unscathed) or damage in ("an image changes", "a setting changes")


def tiers(study, *wanted) -> dict[str, str | None]:
    return {f"{result.path.parent.name}/{result.path.stem}": result.tier for result in verify.trace(study, wanted)}


def test_without_weights_a_number_is_recorded_and_what_tests_them_too(made):
    (CHECKPOINTS / "plain/seed0.pt").unlink()
    found = tiers(made)
    assert {name for name, tier in found.items() if tier == "recorded"} == {"plain/seed0", "tested/seed0"}
    assert set(found.values()) == {"recorded", "restored"}


def test_what_was_put_back_from_recorded_results_is_recorded(made):
    recorded.append(made)
    shutil.rmtree("results")
    recorded.place(made)
    assert set(tiers(made).values()) == {"recorded"}


def test_a_tier_is_remembered_for_as_long_as_the_record_is_the_same(made):
    run = next(run for run in results.everything(made) if run.main == ONE)
    verify.remember(run, "evaluated again", {"seconds": 1.0})
    assert tiers(made, ONE)["video/seed0"] == "evaluated again"
    verify.remember(run, "remade here", {"seconds": 1.0})
    verify.remember(run, "evaluated again", {"seconds": 1.0})
    assert tiers(made, ONE)["video/seed0"] == "remade here"
    results.publish(
        run,
        {"checkpoint": "other weights", "number": json.dumps(number(run), indent=1)},
        results.inputs(run),
        FACTS,
    )
    assert tiers(made, ONE)["video/seed0"] == "restored"


def test_other_code_packages_and_platforms_are_told_and_no_fault(made):
    def rewrite(change) -> tuple[str, ...]:
        record = json.loads(ONE.with_suffix(".run.json").read_text())
        del record[SEAL]
        change(record)
        ONE.with_suffix(".run.json").write_text(sealed(record))
        (result,) = (one for one in verify.trace(made, [ONE]) if one.path == ONE)
        assert result.fault is None
        return result.notes

    assert rewrite(lambda record: None) == ()
    assert rewrite(lambda record: record.update(code="0" * 16)) == ("by other code",)
    (note,) = rewrite(lambda record: record.update(packages={"torch": "1.0"}))
    assert note.startswith("by torch 1.0, here is ")
    assert "on Windows-11" in rewrite(lambda record: record["machine"].update(platform="Windows-11"))


def test_tracing_changes_nothing(made):
    edit(ONE)
    shutil.rmtree("results/store")
    before = {path: path.stat().st_mtime_ns for path in Path("results").rglob("*") if "work" not in path.parts}
    verify.trace(made)
    assert {path: path.stat().st_mtime_ns for path in Path("results").rglob("*") if "work" not in path.parts} == before


def test_names_that_are_no_results_are_one_line(made):
    with pytest.raises(DasError, match="is no result of the study made; name the study's files with --study"):
        verify.trace(made, [Path("results/numbers/other")])


# -- what is stale ----------------------------------------------------------------------------------------------------


def took(run, seconds: float) -> None:
    record = read_sealed(run.record)
    run.record.write_text(sealed({**record, "cost": {"wall_s": seconds}}))


def test_one_number_by_chance_is_any_that_is_here(made):
    numbers = set(NUMBERS.rglob("seed?.json"))
    lost = NUMBERS / "video/seed0.json"
    lost.unlink()
    drawn = {verify.by_chance(made) for _ in range(60 * len(numbers))}  # each is missed once in exp(60) times
    assert drawn == numbers - {lost}
    assert verify.by_chance(made, [NUMBERS / "video"]).parent == NUMBERS / "video"
    for path in numbers - {lost}:
        path.unlink()
    with pytest.raises(DasError, match="no number here"):
        verify.by_chance(made)


def test_what_is_stale_is_listed_with_the_input_and_with_what_it_cost(made):
    runs = {run.main: run for run in results.everything(made)}
    for seconds, run in enumerate(runs.values(), start=1):
        took(run, seconds)
    assert stale(made)[0].path.name == "tables.made_from.json"  # made of other records
    with products.making(made, "tables"):
        pass
    assert stale(made) == []
    edit(POLICIES / "found/seed0.yaml")
    found = {one.path: one for one in stale(made)}
    reach = [POLICIES / "found/seed0.yaml", ONE, NUMBERS / "tested/seed0.json"]
    assert set(found) == {*reach, Path("results/tables/made/tables.made_from.json")}
    assert "seed0.yaml is not the file that was made" in found[reach[0]].why
    assert found[ONE].why == "was made from another policy"
    for path in reach:
        assert found[path].seconds == 1 + list(runs).index(path)


def test_where_the_own_cost_is_lost_that_of_other_seeds_is_told(made):
    took(next(run for run in results.everything(made) if run.main == NUMBERS / "video/seed1.json"), 7.0)
    ONE.with_suffix(".run.json").write_text("{}")
    assert {one.path: one.seconds for one in stale(made)}[ONE] == 7.0
    (NUMBERS / "video/seed1.run.json").write_text("{}")
    assert {one.path: one.seconds for one in stale(made)}[ONE] is None
