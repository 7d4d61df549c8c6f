"""Files that people write: read as meant, or refused in one line, always in a moment."""

import time

import pytest
import yaml

from das.errors import DasError
from das.yamlfile import loads, read


def laughs(depth: int) -> str:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, depth)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (laughs(12), "more than 200000 values"),
        ("a: &a [*a]", "refers to what it stands in"),
        ("a: &a {b: *a}", "refers to what it stands in"),
        ("[" * 200 + "]" * 200, "deeper than 50 levels"),
        ("[" * 20000, "not valid YAML"),
        ("a: 1\na: 2", "line 2: is not valid YAML: key 'a' stands twice"),
        ("? [1, 2]\n: 3", "a key is [1, 2]"),
        ("a: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("a: [", "is not valid YAML"),
        ("a: \x00", "is not valid YAML"),
    ],
    ids=["laughs", "self", "own mapping", "deep", "open", "twice", "list as key", "object", "cut", "control"],
)
def test_bad_files_are_one_line_at_once(tmp_path, text, words):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    start = time.perf_counter()
    with pytest.raises(DasError) as caught:
        read(path)
    assert time.perf_counter() - start < 5
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_files_of_other_kinds_are_named(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(DasError, match=r"latin\.yaml: is not UTF-8"):
        read(tmp_path / "latin.yaml")
    with pytest.raises(DasError, match=r"none\.yaml: cannot be read"):
        read(tmp_path / "none.yaml")
    (tmp_path / "large.yaml").write_text("#" * (5 << 20))
    with pytest.raises(DasError, match=r"large\.yaml: has 5242880 bytes"):
        read(tmp_path / "large.yaml")


def test_thirty_thousand_keys_are_read_in_a_moment():
    text = "\n".join(f"key{n}: {n}" for n in range(30_000))
    start = time.perf_counter()
    assert len(loads(text)) == 30_000
    assert time.perf_counter() - start < 20


def test_numbers_dates_merges_and_aliases_are_what_people_mean():
    assert loads("a: 3e-4\nb: 1e5\nc: -2.5E+3\nd: 2024-01-02\ne: .5e1") == {
        "a": 3e-4, "b": 1e5, "c": -2500.0, "d": "2024-01-02", "e": 5.0,
    }  # fmt: skip
    text = "base: &base {x: 1, y: 2}\nother: {<<: *base, y: 3}\nsame: *base"
    assert (
        loads(text)
        == yaml.safe_load(text)
        == {"base": {"x": 1, "y": 2}, "other": {"x": 1, "y": 3}, "same": {"x": 1, "y": 2}}
    )
    assert loads("") is None
