"""Finished work goes to a remote of DVC and comes back; what is wrong with it is named, and costs nothing else."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from tests.study.published import STUDY, leave
from tests.study.remotes import KINDS, Remote, free_port

from das.errors import DasError
from das.files import publish
from das.seals import SEAL, read_sealed, sealed
from das.study import load_study, results, saved, verify

ROOT = Path(__file__).parents[2]
CONTENT = {key: STUDY[key] for key in STUDY if key != "tuning"} | {"compute": {"device": "cpu", "threads": 1}}
NUMBERS = Path("results/numbers/made/own/small")


def git(*command: str) -> None:
    subprocess.run(["git", *command], check=True, capture_output=True)


def made_in(folder: Path, files: list[str] | tuple[str, ...] = ("params.yaml",)):
    """Publish all results of the study in ``folder``."""
    study = load_study([folder / name for name in files])
    for run in results.everything(study):
        leave(run)
    for card, data in results.cards(study).items():
        publish(card, sealed({"made_from": results.card_source(data)}))
    return study


def add(remote: Remote, name: str = "one") -> None:
    """`dvc remote add --default` and `dvc remote modify`."""
    with Repo().config.edit("local") as config:
        config["core"] = {"remote": name}
        config["remote"] = {**config.get("remote", {}), name: {"url": remote.url, **remote.settings}}


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """A project under git and DVC, all of whose results are there and saved in a folder beside it."""
    place = tmp_path_factory.mktemp("first")
    with pytest.MonkeyPatch.context() as patch:
        project = place / "project"
        (project / "docs").mkdir(parents=True)
        patch.chdir(project)
        Path("images.npz").write_bytes(b"images")
        shutil.copytree(ROOT / "data/published", "data/published")
        Path("params.yaml").write_text(yaml.safe_dump(CONTENT))
        Path("more.yaml").write_text(yaml.safe_dump({"study": {"name": "more", "seeds": [0, 1, 2]}}))
        for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
            shutil.copy(ROOT / name, name)
        git("init", "-q")
        git("config", "user.email", "a@b")
        git("config", "user.name", "a")
        Repo.init()
        add(Remote(str(place / "remote")))
        study = made_in(project)
        assert saved.save(study) == (Path("dvc.lock"), ["summary", "tables"])
        git("add", "-A")
        git("commit", "-qm", "made")
    return project


@pytest.fixture
def clone(first, tmp_path, monkeypatch):
    """A clone of the project, with nothing but what git has, and a remote of its own to spoil."""
    shutil.copytree(first.parent / "remote", tmp_path / "remote")
    git("clone", "-q", str(first), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    add(Remote(str(tmp_path / "remote")))
    return load_study(["params.yaml"])


@pytest.fixture(scope="module")
def before(first) -> dict[Path, bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(first)
        return there()


def there() -> dict[Path, bytes]:
    files = (path for path in Path("results").rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in files if path.parts[1] not in ("work", "store")}


def test_a_clone_has_everything_back_to_the_byte(clone, before):
    done = saved.restore(clone)
    assert (done.files, done.there, done.refused) == (len(before), 0, [])
    assert there() == before
    assert {result.tier for result in verify.trace(clone)} == {"restored"}
    assert results.audit(clone) == {}
    again = saved.restore(clone)
    assert (again.files, again.there) == (0, len(list(results.everything(clone))) + 1)


@pytest.mark.parametrize("kind", ["s3", "ssh"])
def test_each_kind_of_remote_takes_and_gives_back(first, before, tmp_path, monkeypatch, kind):
    shutil.copytree(first, tmp_path / "project", symlinks=True)
    monkeypatch.chdir(tmp_path / "project")
    with KINDS[kind](tmp_path / "server") as remote:
        for name, value in remote.environment.items():
            monkeypatch.setenv(name, value)
        add(remote, "other")
        study = load_study(["params.yaml"])
        saved.save(study)
        shutil.rmtree("results")
        shutil.rmtree(".dvc/cache")
        done = saved.restore(study)
    assert done.refused == []
    assert there() == before


@pytest.mark.parametrize(
    ("wanted", "comes"),
    [
        (NUMBERS / "video/seed1.json", {NUMBERS / "video/seed1.json", NUMBERS / "video/seed1.run.json"}),
        (
            Path("results/checkpoints/made/own/small/plain/seed0.pt"),
            {Path("results/checkpoints/made/own/small/plain/seed0.pt"), NUMBERS / "plain/seed0.run.json"},
        ),
        (
            Path("results/policies/made/own/small/found/seed0.yaml"),
            {Path(f"results/policies/made/own/small/found/seed0.{end}") for end in ("yaml", "run.json")},
        ),
        (NUMBERS / "tested", {NUMBERS / f"tested/seed{seed}.{end}" for seed in (0, 1) for end in ("json", "run.json")}),
    ],
)
def test_one_number_policy_or_checkpoint_is_restored_alone(clone, before, wanted, comes):
    assert saved.restore(clone, [wanted]).refused == []
    assert there() == {path: before[path] for path in comes}


def test_a_study_of_further_files_is_saved_as_it_is_and_beside_the_first(clone, tmp_path):
    files = ("params.yaml", "more.yaml")
    study = made_in(Path(), files)
    unfinished = Path("results/numbers/more/own/small/plain/seed2.json")
    unfinished.unlink()
    whole = there()
    assert saved.save(study) == (Path("docs/results/saved/more.dvc"), [])
    git("add", "-A")
    git("commit", "-qm", "more")
    git("clone", "-q", ".", str(tmp_path / "second"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path / "second")
        add(Remote(str(tmp_path / "remote")))
        assert saved.restore(study).refused == []
        assert there() == whole
        with Repo() as repo:
            assert repo.status("docs/results/saved/more.dvc") == {}


def test_of_the_first_study_whole_stages_are_saved(clone, tmp_path):
    """dvc.lock says of a stage that it is done."""
    made_in(Path())
    Path("dvc.lock").unlink()
    (NUMBERS / "plain/seed0.json").unlink()
    saved.save(clone)
    assert set(yaml.safe_load(Path("dvc.lock").read_text())["stages"]) == {
        "data@own",
        "policies@own-small",
        "checkpoints@own-small",
    }


# -- what must not be saved -------------------------------------------------------------------------------------------


def test_what_cannot_stand_is_not_saved(clone):
    made_in(Path())
    (NUMBERS / "plain/seed0.json").write_text("{}")
    with pytest.raises(DasError, match=r"(?s)plain/seed0.json is not the file that was made.*\n2 results cannot stand"):
        saved.save(clone)


def test_another_study_of_the_first_ones_name_is_not_saved_as_the_first(clone):
    Path("other.yaml").write_text(yaml.safe_dump({"recipes": {"short": {"lr": 0.2}}}))
    made_in(Path(), ("params.yaml", "other.yaml"))
    with pytest.raises(DasError, match=r"study\.name: is 'made', as in params\.yaml"):
        saved.save(load_study(["params.yaml", "other.yaml"]))


def test_nothing_is_not_saved(clone):
    with pytest.raises(DasError, match="nothing of the study made is finished"):
        saved.save(clone)


# -- what is wrong with what was saved --------------------------------------------------------------------------------


def object_of(content: bytes, root: Path) -> Path:
    name = hashlib.md5(content).hexdigest()
    return root / "files/md5" / name[:2] / name[2:]


def spoil(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def test_a_missing_object_is_named_and_the_rest_comes(clone, before, tmp_path):
    number = NUMBERS / "video/seed1.json"
    object_of(before[number], tmp_path / "remote").unlink()
    done = saved.restore(clone)
    assert len(done.refused) == 1
    assert done.refused[0].startswith(f"{number}: the remote lacks its object (")
    assert there() == {path: content for path, content in before.items() if path != number}


@pytest.mark.parametrize("role", ["number", "checkpoint", "record"])
def test_a_damaged_object_is_named_and_the_rest_comes(clone, before, tmp_path, role):
    path = {
        "number": NUMBERS / "video/seed1.json",
        "checkpoint": Path("results/checkpoints/made/own/small/video/seed1.pt"),
        "record": NUMBERS / "video/seed1.run.json",
    }[role]
    spoil(object_of(before[path], tmp_path / "remote"))
    done = saved.restore(clone)
    assert done.refused[0].startswith(f"{path}: is damaged in the remote")
    lost = {path} if role != "record" else {NUMBERS / f"video/seed1.{end}" for end in ("json", "run.json")} | {
        Path("results/checkpoints/made/own/small/video/seed1.pt")
    }  # fmt: skip
    assert there() == {name: content for name, content in before.items() if name not in lost}


def test_a_damaged_list_of_a_folder_is_named_and_the_rest_comes(clone, tmp_path):
    numbers = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["numbers@own-small"]["outs"][0]["md5"]
    spoil(tmp_path / "remote/files/md5" / numbers[:2] / numbers[2:])
    done = saved.restore(clone)
    assert done.refused[0].startswith(f"{NUMBERS}: is damaged in the remote")
    assert not NUMBERS.exists()
    assert Path("results/policies/made/own/small/found/seed0.yaml").exists()


def test_a_missing_list_of_a_folder_is_named_and_the_rest_comes(clone, tmp_path):
    numbers = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["numbers@own-small"]["outs"][0]["md5"]
    (tmp_path / "remote/files/md5" / numbers[:2] / numbers[2:]).unlink()
    done = saved.restore(clone)
    assert done.refused[0].startswith(f"{NUMBERS}: the remote lacks its object (")
    assert not NUMBERS.exists()
    assert Path("results/policies/made/own/small/found/seed0.yaml").exists()


def test_a_damaged_list_in_the_cache_is_brought_again(clone, before, capsys):
    saved.restore(clone)
    numbers = yaml.safe_load(Path("dvc.lock").read_text())["stages"]["numbers@own-small"]["outs"][0]["md5"]
    spoil(Path(".dvc/cache/files/md5") / numbers[:2] / numbers[2:])
    shutil.rmtree("results")
    assert saved.restore(clone).refused == []
    assert f"is damaged in DVC's cache ({NUMBERS})" in capsys.readouterr().out
    assert there() == before


def test_a_damaged_cache_is_not_saved(clone, before, tmp_path):
    """What is saved anew is the result, and not what the cache holds in its name."""
    saved.restore(clone)
    number = NUMBERS / "video/seed1.json"
    spoil(object_of(before[number], Path(".dvc/cache")))
    add(Remote(str(tmp_path / "empty")))
    saved.save(clone)
    assert object_of(before[number], tmp_path / "empty").read_bytes() == before[number]


def test_a_damaged_cache_is_filled_again(clone, before, capsys):
    saved.restore(clone)
    number = NUMBERS / "video/seed1.json"
    spoil(object_of(before[number], Path(".dvc/cache")))
    shutil.rmtree("results")
    assert saved.restore(clone).refused == []
    assert "is damaged in DVC's cache" in capsys.readouterr().out
    assert there() == before


def push() -> None:
    """What DVC's own commands save, which ask nothing of what they save."""
    with Repo() as repo:
        repo.commit("numbers@own-small", force=True)
        repo.push("numbers@own-small")
    shutil.rmtree("results")


def test_a_foreign_object_is_named_and_not_put_in_its_place(clone):
    made_in(Path())
    for end in ("json", "run.json"):
        shutil.copy(NUMBERS / f"plain/seed1.{end}", NUMBERS / f"plain/seed0.{end}")
    push()
    done = saved.restore(clone, [NUMBERS])
    assert len(done.refused) == 1
    assert f"{NUMBERS}/plain/seed0.run.json belongs to another run" in done.refused[0]
    assert not (NUMBERS / "plain/seed0.json").exists()
    assert (NUMBERS / "plain/seed1.json").exists()


def test_what_was_saved_of_other_settings_is_named_and_not_put_in_its_place(clone):
    changed = {**CONTENT, "methods": {**CONTENT["methods"], "video": {**CONTENT["methods"]["video"], "fusion": "none"}}}
    Path("params.yaml").write_text(yaml.safe_dump(changed))
    done = saved.restore(load_study(["params.yaml"]))
    assert len(done.refused) == 2
    assert all("video" in line and "was made with other settings" in line for line in done.refused)
    assert not (NUMBERS / "video").exists() or not list((NUMBERS / "video").iterdir())
    assert (NUMBERS / "tested/seed0.json").exists()


def test_local_work_that_differs_stays_and_is_named(clone, before):
    saved.restore(clone)
    number = NUMBERS / "plain/seed0.json"
    number.write_text("mine")
    for path in (NUMBERS / "plain/seed0.run.json", NUMBERS / "video/seed0.json"):
        path.unlink()
    done = saved.restore(clone)
    assert done.refused == [f"{number}: is not what was saved, and stays; --replace has it give way"]
    assert number.read_text() == "mine"
    assert not (NUMBERS / "plain/seed0.run.json").exists()
    assert (NUMBERS / "video/seed0.json").read_bytes() == before[NUMBERS / "video/seed0.json"]
    assert saved.restore(clone, replace=True).refused == []
    assert there() == before


def test_whole_local_work_that_gives_way_is_in_the_store(clone, before):
    run = next(run for run in results.everything(clone) if run.main == NUMBERS / "plain/seed0.json")
    leave(run)
    record = {**read_sealed(run.record), "machine": {"device": "mine"}}
    run.record.write_text(sealed({**record, "key": "f" * 64}))
    shutil.rmtree("results/store")
    saved.restore(clone, replace=True)
    assert run.record.read_bytes() == before[run.record]
    assert list(Path("results/store/training").glob(f"*/{'f' * 64}/entry.json"))


def test_results_of_another_platform_are_restored_and_say_so(clone):
    made_in(Path())
    for path in NUMBERS.rglob("*.run.json"):
        record = json.loads(path.read_text())
        del record[SEAL]
        record["machine"]["platform"] = "macOS-15.1-arm64-arm-64bit"
        path.write_text(sealed(record))
    push()
    assert saved.restore(clone).refused == []
    notes = [result.notes for result in verify.trace(clone) if NUMBERS in result.path.parents]
    assert len(notes) == 6
    assert set(notes) == {("on macOS-15.1-arm64-arm-64bit",)}


def test_a_clone_with_line_ends_of_another_platform_has_everything_back(first, before, tmp_path, monkeypatch):
    """As Git for Windows clones: in tests' project no attribute says which line ends files keep."""
    git("clone", "-q", "-c", "core.autocrlf=true", str(first), str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert all(b"\r\n" in Path(name).read_bytes() for name in ("dvc.lock", "dvc.yaml", "params.yaml"))
    add(Remote(str(first.parent / "remote")))
    study = load_study(["params.yaml"])
    assert saved.restore(study).refused == []
    assert there() == before
    assert {result.tier for result in verify.trace(study)} == {"restored"}


def test_a_folder_in_the_place_of_a_file_stays_and_is_named(clone, before):
    number = NUMBERS / "plain/seed0.json"
    (number / "mine").mkdir(parents=True)
    for replace in (False, True):
        done = saved.restore(clone, replace=replace)
        assert done.refused == [f"{number}: is a folder, where a file was saved, and stays; move it away"]
    assert (number / "mine").is_dir()
    assert (NUMBERS / "video/seed0.json").read_bytes() == before[NUMBERS / "video/seed0.json"]


# -- remotes that do not answer ---------------------------------------------------------------------------------------


def refusal(study, *arguments, **options) -> str:
    with pytest.raises(DasError) as error:
        saved.restore(study, *arguments, **options)
    assert "\n" not in str(error.value)
    assert there() == {}
    return str(error.value)


def test_a_remote_that_is_not_there_is_one_line(clone, tmp_path):
    assert "remote 'nosuch' doesn't exist" in refusal(clone, remote="nosuch")
    add(Remote(str(tmp_path / "elsewhere")), "away")
    assert f"remote 'away' ({tmp_path}/elsewhere): is not there" in refusal(clone)
    add(Remote("s3://das/results", {"endpointurl": f"http://127.0.0.1:{free_port()}"}))
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "any")
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        assert "Could not connect to the endpoint URL" in refusal(clone)
    add(Remote(f"ssh://127.0.0.1:{free_port()}/tmp/das"))
    assert "Connect call failed" in refusal(clone)
    Path(".dvc/config.local").unlink()
    assert "no remote specified" in refusal(clone)


def test_wrong_credentials_are_one_line(clone, tmp_path, monkeypatch):
    with KINDS["s3"](tmp_path / "server") as remote:
        for name, value in {**remote.environment, "AWS_SECRET_ACCESS_KEY": "wrong"}.items():
            monkeypatch.setenv(name, value)
        add(remote, "other")
        assert "remote 'other' (s3://das/results): " in refusal(clone)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        assert "remote 'other' (s3://das/results): " in refusal(clone)


@pytest.mark.parametrize("kind", ["s3", "ssh"])
def test_saving_where_nobody_answers_is_one_line_and_costs_nothing(clone, monkeypatch, kind):
    made_in(Path())
    whole = there()
    port = free_port()
    url = {"s3": "s3://das/results", "ssh": f"ssh://127.0.0.1:{port}/tmp/das"}[kind]
    add(Remote(url, {"endpointurl": f"http://127.0.0.1:{port}"} if kind == "s3" else {}), "other")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "any")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DasError) as error:
        saved.save(clone)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(f"remote 'other' ({kind}://")
    assert there() == whole


def test_saving_with_wrong_credentials_is_one_line(clone, tmp_path, monkeypatch):
    made_in(Path())
    with KINDS["s3"](tmp_path / "server") as remote:
        for name, value in {**remote.environment, "AWS_SECRET_ACCESS_KEY": "wrong"}.items():
            monkeypatch.setenv(name, value)
        add(remote, "other")
        with pytest.raises(DasError) as error:
            saved.save(clone)
    assert "\n" not in str(error.value)
    assert "remote 'other' (s3://das/results): " in str(error.value)


def test_a_folder_that_takes_no_files_is_one_line(clone, tmp_path):
    made_in(Path())
    (tmp_path / "file").write_text("no folder")
    add(Remote(str(tmp_path / "file/below")), "other")
    with pytest.raises(DasError) as error:
        saved.save(clone)
    assert "\n" not in str(error.value)
    assert f"remote 'other' ({tmp_path}/file/below): " in str(error.value)


def test_wrong_keys_of_ssh_are_one_line(clone, tmp_path):
    with KINDS["ssh"](tmp_path / "server") as remote:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
        add(Remote(remote.url, {"keyfile": str(tmp_path / "other")}), "other")
        assert "remote 'other' (ssh://" in refusal(clone)


def test_names_that_mean_nothing_are_one_line(clone):
    assert "is no result of the study made" in refusal(clone, [Path("results/numbers/made/own/small/nosuch")])
    Path("dvc.lock").unlink()
    assert "nothing of the study made was saved" in refusal(clone)


def test_a_folder_without_dvc_is_one_line(clone):
    shutil.rmtree(".dvc")
    assert "here is no DVC repository" in refusal(clone)
