"""Recorded results: put back where they are the study's, named where not, and safe against edits and merges."""

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from das.analysis import results as analysis
from das.analysis.tables import accuracy_table, readable_accuracy
from das.cli import runs as commands
from das.errors import DasError
from das.study import load_study, recorded, results
from das.study.runs import PolicyRun

ROOT = Path(__file__).parents[2]
TINY = {
    "study": {"name": "tiny", "datasets": ["few"], "methods": ["baseline", "random"], "seeds": [0, 1]},
    "datasets": {
        "few": {
            "title": "Few images",
            "reader": "fashion_mnist_embedded",
            "options": {"train_per_class": 8, "test_per_class": 4},
            "splits": 2,
            "recipe": "tiny",
        }
    },
    "recipes": {"tiny": {"epochs": 1, "batch_size": 20, "lr": 0.05}},
    "tuning": {"trials": 2, "recipe": {"lr": [0.01, 0.1]}},
}
FILES = [ROOT / "params.yaml", Path("study.yaml")]


def clone(folder: Path, content: dict = TINY) -> Path:
    folder.mkdir()
    (folder / "data").symlink_to(ROOT / "data")
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A clone in which the study was run and recorded."""
    folder = clone(tmp_path_factory.mktemp("whole") / "clone")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for run in results.everything(load_study(FILES)):
            where = (run.dataset, run.backbone, run.name)
            if run.kind == "tuning":
                commands.tune(*where, study_files=FILES)
            elif isinstance(run, PolicyRun):
                commands.search(*where, run.seed, FILES)
            else:
                commands.train(*where, run.seed, FILES)
        assert recorded.append(load_study(FILES)) == 8  # two methods with two seeds, two policies, two tunings
        assert recorded.append(load_study(FILES)) == 0
    return folder


@pytest.fixture
def fresh(whole, tmp_path, monkeypatch):
    """A clone with nothing but what is recorded."""
    folder = clone(tmp_path / "fresh")
    shutil.copytree(whole / "docs", folder / "docs")
    monkeypatch.chdir(folder)
    return folder


def products(folder: Path) -> dict[str, bytes]:
    files = [p for kind in ("numbers", "policies", "tuning") for p in (folder / "results" / kind).rglob("*.*")]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if p.is_file() and ".run." not in p.name}


def lines() -> list[str]:
    return recorded.path_of(load_study(FILES)).read_text().splitlines(keepends=True)


def rewrite(text: list[str]) -> None:
    recorded.path_of(load_study(FILES)).write_text("".join(text))


def test_a_fresh_clone_has_every_byte_and_says_that_it_was_not_made_here(whole, fresh):
    study = load_study(FILES)
    assert recorded.place(study) == []
    assert products(fresh) == products(whole)
    assert results.audit(study) == {}
    numbers = analysis.numbers(study)
    assert numbers.made.all()
    assert numbers.recorded.all()
    table = accuracy_table(study)
    assert table.recorded.tolist() == [2, 2]
    remarks = readable_accuracy(study, table).Remarks
    assert all("2 recorded, not made here" in remark for remark in remarks)
    assert recorded.place(study) == []
    assert recorded.append(study) == 0
    assert len(lines()) == 9


def test_what_was_recorded_with_other_settings_is_named_and_not_used(fresh):
    (fresh / "study.yaml").write_text(
        yaml.safe_dump(TINY | {"recipes": {"tiny": TINY["recipes"]["tiny"] | {"lr": 0.1}}})
    )
    (said,) = recorded.place(load_study(FILES))
    assert said.startswith("docs/results/recorded/tiny.csv: recorded with other settings than the study's")
    assert all(f"few/resnet8/{name}/seed{seed}" in said for name in ("baseline", "random") for seed in (0, 1))
    assert not list(Path("results").rglob("numbers/**/*.json"))
    assert len(list(Path("results").rglob("policies/**/*.yaml"))) == 2  # a random policy depends on no recipe


@pytest.mark.parametrize("change", [("0.", "1."), ("training,few", "training,few2"), (",eN", ",eM")])
def test_an_edited_line_is_named_and_not_used(fresh, change, capsys):
    text = lines()
    place = next(i for i, line in enumerate(text) if line.startswith("training,few,resnet8,baseline,0"))
    text[place] = text[place].replace(*change, 1)
    rewrite(text)
    recorded.place(load_study(FILES))
    assert f"line {place + 1} was changed or cut short, and is not used" in capsys.readouterr().out
    made = analysis.numbers(load_study(FILES)).set_index(["method", "seed"]).made
    assert made.to_dict() == {
        ("baseline", 0): False, ("baseline", 1): True, ("random", 0): True, ("random", 1): True
    }  # fmt: skip


def test_a_line_with_other_files_is_named_and_not_used(fresh):
    text = lines()
    place, other = (
        next(i for i, line in enumerate(text) if line.startswith(f"{kind},few,resnet8,"))
        for kind in ("training", "policy")
    )
    cells = dict(zip(recorded.COLUMNS, text[place].split(","), strict=True))
    cells["content"] = text[other].split(",")[9]
    row = list(cells.values())[:-1]
    text[place] = ",".join([*row, hashlib.sha256("\n".join(row).encode()).hexdigest()]) + "\n"
    rewrite(text)
    (said,) = recorded.place(load_study(FILES))
    assert "its line holds other files than such a run has; it is made where it is needed" in said


def test_a_policy_that_is_another_one_takes_its_numbers_with_it(fresh):
    recorded.place(load_study(FILES))
    policy = next(Path("results/policies").rglob("random/seed0.yaml"))
    for path in Path("results/numbers").rglob("random/*"):
        path.unlink()
    policy.write_text(policy.read_text() + "# edited\n")
    (said,) = recorded.place(load_study(FILES))
    assert "few/resnet8/random/seed0: was made from another policy" in said
    assert not list(Path("results/numbers").rglob("random/seed0*"))
    assert list(Path("results/numbers").rglob("random/seed1.json"))


def test_a_newer_line_of_a_run_wins_and_other_columns_are_refused(fresh):
    text = lines()
    rewrite([text[0], *reversed(text[1:]), *text])  # as git's union leaves two sides
    assert recorded.place(load_study(FILES)) == []
    assert analysis.numbers(load_study(FILES)).made.all()
    rewrite(["kind,dataset\n", *text[1:]])
    with pytest.raises(DasError, match=r"tiny.csv: begins with other columns than kind, dataset, "):
        recorded.place(load_study(FILES))


def test_afresh_puts_nothing_back(fresh, monkeypatch):
    monkeypatch.setenv("DAS_AFRESH", "1")
    assert recorded.place(load_study(FILES)) == []
    assert not Path("results/numbers").exists()


def test_git_merges_what_two_sides_record(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".gitattributes").write_text((ROOT / ".gitattributes").read_text())
    path = tmp_path / "docs/results/recorded/tiny.csv"
    path.parent.mkdir(parents=True)
    head, *rest = (whole / "docs/results/recorded/tiny.csv").read_text().splitlines(keepends=True)

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *arguments], check=True, capture_output=True)

    def commit(text: list[str]) -> None:
        path.write_text("".join(text))
        git("add", "-A")
        git("commit", "-m", "recorded")

    git("init", "-b", "one")
    commit([head, *rest[:2]])
    git("checkout", "-b", "two")
    commit([head, *rest[:2], *rest[2:5]])
    git("checkout", "one")
    commit([head, *rest[:2], *rest[5:]])
    git("merge", "two")
    assert sorted(line.cells["key"] for line in recorded.read(path)) == sorted(row.split(",")[8] for row in rest)
