"""Results vouch for themselves: whatever is not what the study asks for is named, never used, and never lost."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from tests.faults.work import in_place
from tests.study.published import FACTS, leave, number, study_of

from das.analysis.searches import search_table
from das.analysis.tables import accuracy_table, readable_accuracy, write_tables
from das.engine.tune import write_chosen
from das.errors import DasError
from das.files import read_json
from das.search.make import control_policy
from das.store import Store
from das.study import of_method, of_policy, products, results
from das.study.runs import of_tuning
from das.study.sources import Look

ROOT = Path(__file__).parents[2]


@pytest.fixture
def made(tmp_path, monkeypatch):
    """The study, all of whose results are there."""
    monkeypatch.chdir(tmp_path)
    Path("images.npz").write_bytes(b"images")
    Path("data").symlink_to(ROOT / "data")
    study = study_of()
    for run in results.everything(study):
        leave(run)
    assert results.audit(study) == {}
    return study


def contents(study) -> dict[Path, bytes]:
    return {path: path.read_bytes() for run in results.everything(study) for path in run.files.values()}


PLACES = [
    ("plain", "number"), ("plain", "checkpoint"), ("tested", "number"), ("video", "number"),
    ("found", "policy"), ("found", "history"), ("found", "halves"),
]  # fmt: skip


def run_named(study, name, seed=0):
    make = of_policy if name == "found" else of_method
    return make(study, "own", "small", name, seed)


@pytest.mark.parametrize(("name", "role"), PLACES)
def test_every_copied_file_is_named(made, name, role):
    """Of another seed, method or study, with its run record and without."""
    run = run_named(made, name)
    path, others = run.files[role], [run_named(made, name, seed=1)]
    other_study = study_of(study={"name": "other"}, recipes={"short": {"epochs": 3, "batch_size": 10, "lr": 0.2}},
                           cells={"cell": {"frames": 5, "kind": "single"}})  # fmt: skip
    for one in results.everything(other_study):
        leave(one)
    others += [run_named(other_study, name)]
    others += [other for other in results.everything(made) if role in other.files and other.main != run.main]
    assert len(others) > 2
    whole = contents(made) | {run.record: run.record.read_bytes()}
    for other in others:
        path.write_bytes(other.files[role].read_bytes())
        assert str(path) in results.audit(made)[run.main], other.title
        run.record.write_bytes(other.record.read_bytes())
        assert run.main in results.audit(made), other.title
        for kept, content in whole.items():
            kept.write_bytes(content)
        assert results.audit(made) == {}


def leaves(content, path=()):
    """Paths of all values of a JSON document."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield from leaves(value, (*path, key)) if isinstance(value, dict | list) and value else [(*path, key)]


@pytest.mark.parametrize("which", ["number", "record", "history"])
def test_an_edit_of_any_field_is_named(made, which):
    run = (
        of_policy(made, "own", "small", "found", 0)
        if which == "history"
        else of_method(made, "own", "small", "video", 0)
    )
    path = run.record if which == "record" else run.files[which]
    whole = path.read_bytes()
    fields = list(leaves(json.loads(whole)))
    assert len(fields) > 10
    for field in fields:
        content = json.loads(whole)
        parent = content
        for key in field[:-1]:
            parent = parent[key]
        value = parent[field[-1]]
        parent[field[-1]] = value + 1 if isinstance(value, int | float) else "x"
        path.write_text(json.dumps(content, indent=1))
        assert run.main in results.audit(made), field
    path.write_bytes(whole)
    assert results.audit(made) == {}


def test_an_edit_that_keeps_size_and_time_is_named(made):
    run = of_method(made, "own", "small", "plain", 0)
    in_place(run.number, run.number.read_bytes().replace(b'"accuracy": 0.3', b'"accuracy": 0.9'))
    assert run.main in results.audit(made)


def test_own_images_that_keep_size_and_time_are_other_images(made):
    run = of_method(made, "own", "small", "plain", 0)
    before = results.inputs(run)
    in_place(Path("images.npz"), b"others")
    assert results.inputs(run) != before
    assert "was made from other images" in results.audit(made)[run.main]


def test_content_that_changes_within_the_clocks_resolution_is_read_again(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "file"
    file.write_bytes(b"one")
    with Look("here") as look:
        first = look.hash(file)
    stat = file.stat()
    in_place(file, b"two")
    monkeypatch.setattr(Path, "stat", lambda self, **_: stat)  # as if the clock had not ticked
    with Look("here") as look:
        assert look.hash(file) != first


@pytest.mark.parametrize("content", ["{}", "", "[]", "null", "{\n", '{"number": {}}'])
def test_what_is_no_number_is_not_run(made, content):
    run = of_method(made, "own", "small", "plain", 0)
    run.number.write_text(content)
    assert run.main in results.audit(made)
    table = accuracy_table(made).set_index("name")
    assert (table.seeds["plain"], table.refused["plain"]) == (1, 1)
    assert str(run.number) in table.refused_because["plain"]


def test_tables_without_snakemake_take_in_nothing_of_another_study(made):
    """`das tables` by itself after lr was changed: nothing was trained with it."""
    other = study_of(recipes={"short": {"epochs": 3, "batch_size": 10, "lr": 0.2}})
    table = accuracy_table(other)
    assert list(table.seeds) == [0, 0, 0]
    assert set(table.refused_because) == {"was made with other settings"}
    assert list(search_table(other).verdict) == ["decided"] * 2
    write_tables(other, Path("tables"))
    assert "not used: was made with other settings" in Path("tables/accuracy.md").read_text()


def test_what_was_made_from_a_policy_that_cannot_stand_is_not_used(made):
    """`das train` and `das tables` by themselves after the search was changed: its policy is another one's."""
    other = study_of(searches={"quick": {"epochs": 9, "batch_size": 10, "alpha": {"lr": 0.01},
                                         "weights": {"lr": 0.05, "lr_min": 0.001}}})  # fmt: skip
    run = of_method(other, "own", "small", "video", 0)
    with pytest.raises(DasError, match=r"found/seed0\.yaml: cannot stand: was made with other settings; make it again"):
        results.inputs(run)
    verdicts = search_table(other).verdict
    assert list(verdicts) == ["not used: was made with other settings"] * 2
    assert list(accuracy_table(other).set_index("name").seeds) == [2, 0, 0]


def test_a_number_from_a_policy_with_an_edited_record_is_not_used(made):
    policy = of_policy(made, "own", "small", "found", 0)
    policy.record.write_text(policy.record.read_text().replace('"seed": 0', '"seed": 1'))
    table = accuracy_table(made).set_index("name")
    assert (table.seeds["video"], table.seeds["tested"], table.seeds["plain"]) == (1, 1, 2)
    assert str(policy.main) in table.refused_because["video"]


def test_a_search_that_was_not_run_is_a_row_that_says_so(made):
    first, second = (run_named(made, "found", seed) for seed in (0, 1))
    first.files["history"].unlink()
    second.main.unlink()
    assert list(search_table(made).verdict) == ["not run", "not run"]
    assert "found/seed0.history.json is missing" in results.audit(made)[first.main]


def test_a_cost_without_its_record_is_not_zero(made):
    for seed in (0, 1):
        policy = of_policy(made, "own", "small", "found", seed)
        policy.record.unlink()
        policy.main.unlink()
    table = accuracy_table(made)
    assert table.set_index("name").search_s.isna().to_dict() == {"plain": False, "video": True, "tested": True}
    assert set(readable_accuracy(made, table)["Search, s"]) == {"0.0", "no record"}


def test_what_is_replaced_is_kept_first_and_comes_back(made):
    """A wrong lr: Snakemake deletes what is made again before it is made, and then that fails."""
    shutil.rmtree(Store().root)  # as after `dvc pull`
    before = contents(made)
    wrong = study_of(recipes={"short": {"epochs": 3, "batch_size": 10, "lr": 9.0}})
    unfit = results.audit(wrong)
    assert len(unfit) == 6
    for run in results.everything(wrong):
        if run.main in unfit:
            for path in (run.record, *run.files.values()):
                path.unlink()
    for run in results.everything(made):
        assert results.take(run)
    assert contents(made) == before
    assert results.audit(made) == {}


def test_what_is_damaged_is_never_kept(made):
    shutil.rmtree(Store().root)
    run = of_method(made, "own", "small", "plain", 0)
    run.checkpoint.write_bytes(b"damaged")
    results.audit(made)
    record = read_json(run.record)
    assert Store().find("training", record["key"]) is None
    assert Store().find("training", read_json(of_method(made, "own", "small", "plain", 1).record)["key"])


def test_an_edit_of_a_large_result_in_place_costs_its_entry_and_says_so(made, monkeypatch, capsys):
    monkeypatch.setattr("das.store.LINKED", 1)
    run = of_method(made, "own", "small", "plain", 0)
    shutil.rmtree(Store().root)
    leave(run)
    with run.checkpoint.open("r+b") as file:
        file.write(b"X")
    assert run.main in results.audit(made)
    assert results.take(run) is False
    assert "is damaged (checkpoint.pt is not what was kept)" in capsys.readouterr().out
    leave(run)
    assert Store().verify() == []


def test_a_linked_result_is_kept_by_content(made, monkeypatch):
    """Results that are symbolic links, as DVC can make them: the entry lives on without what they point to."""
    monkeypatch.setattr("das.store.LINKED", 1)
    monkeypatch.setattr("das.store._reflink", lambda *_: False)
    shutil.rmtree(Store().root)
    run = of_method(made, "own", "small", "plain", 0)
    whole = run.checkpoint.read_bytes()
    run.checkpoint.rename("elsewhere")
    run.checkpoint.symlink_to(Path("elsewhere").resolve())
    assert results.audit(made) == {}
    Path("elsewhere").unlink()
    run.checkpoint.unlink()
    assert results.take(run)
    assert run.checkpoint.read_bytes() == whole


def test_nothing_is_published_of_inputs_that_changed_meanwhile(made):
    run = of_method(made, "own", "small", "plain", 0)
    before, found = run.number.read_bytes(), results.inputs(run)
    Path("images.npz").write_bytes(b"more images")
    with pytest.raises(DasError, match=r"plain/seed0\.json: its files changed while it was made"):
        results.publish(run, {"checkpoint": b"", "number": json.dumps(number(run))}, found, FACTS)
    assert run.number.read_bytes() == before


def test_edited_trials_choose_no_settings(made):
    study = study_of(methods={"mixed": {"title": "m", "augment": [{"mixup": {"alpha": 1.0}}]}})
    study = study.model_copy(update={"tuning": type(study).model_fields["tuning"].annotation.__args__[0](
        trials=2, grids={"mixed": {"mixup.alpha": [0.1, 1.0]}})})  # fmt: skip
    run = of_tuning(study, "own", "small", "mixed")
    trials = {"trials": [{"settings": {}, "scores": [score]} for score in (0.5, 0.6)]}
    results.publish(run, {"split": "{}", "trials": json.dumps(trials)}, results.inputs(run), FACTS)
    write_chosen(study)
    run.main.write_text(run.main.read_text().replace("0.5", "0.9"))
    with pytest.raises(DasError, match=r"mixed\.json: cannot stand: .* is not the file that was made"):
        write_chosen(study)
    assert run.main in results.audit(study)


def test_a_control_policy_does_not_tell_which_study_made_it(made):
    bytes_of = set()
    for name in ("first", "second"):
        study = study_of(study={"name": name}, policies={"chance": {"source": "random", "cell": "cell"}})
        run = of_policy(study, "own", "small", "chance", 0)
        control_policy(run)
        bytes_of.add(run.main.read_bytes())
    assert len(bytes_of) == 1


def test_two_studies_in_one_folder_never_use_each_others_results(made):
    """As names that differ in case only do on some systems: a record names its run, and not where it lies."""
    other = study_of(backbones={"small": {"title": "small", "network": "resnet8", "options": {"width": 16}}})
    assert len(results.audit(other)) == 8
    assert accuracy_table(other).seeds.sum() == 0


def test_read_only_results_are_read_and_audited(made, monkeypatch, capsys):
    """Nothing is written where nothing needs to be: a colleague's results, a snapshot."""
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr("das.files.os.fsync", lambda _: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    assert results.audit(made) == {}
    assert list(accuracy_table(made).seeds) == [2, 2, 2]
    assert results.take(of_method(made, "own", "small", "plain", 0))


def test_tables_vouch_for_themselves(made):
    with products.making(made, "tables") as folder:
        write_tables(made, folder)
    assert products.stale(made) == {}
    table = folder / "accuracy.md"
    whole = table.read_text()
    table.write_text(whole.replace("+", "-"))
    assert list(products.stale(made)) == [products.record_path(made, "tables")]
    table.write_text(whole)
    assert products.stale(made) == {}
    run = of_method(made, "own", "small", "plain", 0)
    run.number.unlink()
    assert "were made from other results" in products.stale(made)[products.record_path(made, "tables")]


def test_receptive_fields_stand_whatever_numbers_of_later_seeds_are_made_after_them(made):
    """They read policies and the first seed's networks, and are drawn before the last number is there."""
    with products.making(made, "receptive_fields") as folder:
        folder.mkdir(parents=True, exist_ok=True)
    of_method(made, "own", "small", "plain", 1).number.unlink()
    assert products.stale(made) == {}
    of_method(made, "own", "small", "plain", 0).number.unlink()
    assert list(products.stale(made)) == [products.record_path(made, "receptive_fields")]


def test_files_from_a_clock_ahead_are_as_old_as_now(made):
    """A day of it has Snakemake delete what is made from them, and take an edited one for up to date."""
    run = run_named(made, "plain")
    run.number.write_text("{}")
    tomorrow = time.time() + 86400
    for path in (run.number, run.record, run.checkpoint):
        os.utime(path, (tomorrow, tomorrow))
    marker = results.newer_than(results.audit(made))[str(run.main)]
    assert max(path.stat().st_mtime for path in (run.number, run.record, run.checkpoint)) < Path(marker).stat().st_mtime
