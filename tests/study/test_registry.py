"""The registry: every component says in one place what it is, and one's own come in by a door, checked at start."""

import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from das.errors import DasError
from das.study import registry
from das.study.registry import KINDS, Entry, entries, lookup, names


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of one's own beside the study, under a new name each time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    registry._own.cache_clear()
    registry._models.clear()
    count = iter(range(100))

    def write(text: str) -> str:
        name = f"own_{tmp_path.name.replace('-', '_')}_{next(count)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


@pytest.mark.parametrize("kind", KINDS)
def test_every_registered_component_can_be_imported(kind):
    found = list(entries(kind))
    assert found
    for entry in found:
        if entry.facts.get("requires") is None:
            assert entry.load() is not None


def test_listing_what_there_is_costs_no_torch():
    code = (
        "import sys; from das.study.registry import KINDS, names; [names(kind) for kind in KINDS];"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_component_of_ones_own_has_its_signatures_options(module):
    name = module("def net(in_channels, width=8, *, depth): return in_channels, width, depth\nnet.facts = {'x': 1}")
    entry = lookup("network", f"{name}:net")
    assert entry.own
    assert entry.facts == {"x": 1}
    assert entry.make(3, depth=2) == (3, 8, 2)
    assert entry.complete({"depth": 1}) == {"width": 8, "depth": 1}
    with pytest.raises(DasError, match=r"net\.depth: is missing"):
        entry.check({})
    with pytest.raises(DasError, match=r"net\.height: unknown option; allowed here: width, depth"):
        entry.check({"depth": 1, "height": 1})


@pytest.mark.parametrize(
    ("text", "attribute", "words"),
    [
        ("def net(in_channels): ...", "nett", "has no 'nett'"),
        ("raise RuntimeError('broken on purpose')", "net", "cannot be imported (RuntimeError: broken on purpose)"),
        ("import nothing_of_this_name", "net", "cannot be imported (ModuleNotFoundError"),
        ("def net(): ...", "net", "takes (); should take (in_channels, …) and give a torch.nn.Module"),
        ("net = 3", "net", "is no function or class"),
        ("def net(", "net", "cannot be imported (SyntaxError"),
    ],
)
def test_what_is_wrong_with_ones_own_is_one_line(module, text, attribute, words):
    with pytest.raises(DasError) as caught:
        lookup("network", f"{module(text)}:{attribute}")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_source_of_ones_own_has_a_digest_that_follows_it(module, tmp_path):
    name = module("def net(in_channels): return 1\n")
    before = lookup("network", f"{name}:net").source_digest()
    (tmp_path / f"{name}.py").write_text("def net(in_channels): return 2\n")
    assert lookup("network", f"{name}:net").source_digest() != before


def test_a_family_serves_every_name_of_its_library():
    entry = lookup("network", "timm:convnext_tiny")
    assert (entry.facts["member"], entry.facts["requires"]) == ("convnext_tiny", "timm")


def test_unknown_names_say_what_there_is():
    with pytest.raises(DasError, match=r"'lstm' is unknown; should be one of none, tsm.*of your own"):
        lookup("fusion", "lstm")


@pytest.fixture
def plugged(module, monkeypatch):
    def plug(text: str):
        name = module(text)
        point = EntryPoint("mine", f"{name}:PARTS", registry.PLUGINS)
        monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == registry.PLUGINS else [])
        registry._registered.cache_clear()

    yield plug
    monkeypatch.undo()
    registry._registered.cache_clear()


def test_installed_plug_ins_register_names(plugged):
    plugged(
        "from das.study.registry import Entry\n"
        "PARTS = [Entry('schedule', 'late', 'das.video.schedule:signed', 'theirs')]"
    )
    assert "late" in names("schedule")
    assert lookup("schedule", "late").make(3, 2) == 1


def test_a_plug_in_that_breaks_or_takes_a_name_is_named(plugged):
    plugged("raise RuntimeError('no')")
    with pytest.raises(DasError, match=r"plug-in 'mine' .*cannot be loaded \(no\)"):
        names("schedule")
    plugged("from das.study.registry import Entry\nPARTS = [Entry('fusion', 'tsm', 'mine.parts:shift')]")
    with pytest.raises(DasError, match=r"fusion 'tsm': mine\.parts:shift is named as das\.models\.fusion:with_tsm is"):
        names("schedule")


def test_options_are_checked_by_their_types_and_named_where_they_stand():
    entry = Entry("reader", "x", "a:b", options=lookup("reader", "folder").options)
    with pytest.raises(DasError, match=r"datasets\.mine\.options\.size: is 0; should be a whole number of pixels"):
        entry.check({"size": 0}, "datasets.mine.options")


def test_names_of_one_target_keep_their_own_options():
    assert lookup("network", "resnet18").check({}) == {}
    assert lookup("network", "resnet50").check({"stem": "deep"}) == {"stem": "deep"}
    with pytest.raises(DasError, match=r"resnet18\.stem"):
        lookup("network", "resnet18").check({"stem": "deep"})
