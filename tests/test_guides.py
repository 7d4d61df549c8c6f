"""The guides tell what happens: their blocks run one after another, and what they print is what is written below them.

A block of `text` is the output of the block before it; `...` in it stands for anything (numbers that differ from one
machine to another). `bash` and `python` blocks run in one folder, a copy of a project.
"""

import contextlib
import doctest
import io
import os
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
MATCHES = doctest.OutputChecker().check_output


@pytest.fixture
def project(tmp_path, monkeypatch):
    for name in ("data", "config", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    return tmp_path


def run(kind: str, code: str, names: dict) -> str:
    if kind == "python":
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, "guide", "exec"), names)
        return said.getvalue()
    done = subprocess.run(["bash", "-euc", code], capture_output=True, text=True)
    assert done.returncode == 0, f"{code}\n{done.stdout}{done.stderr}"
    return done.stdout


LONG = ("own_images", "segmentation")  # they train by commands, each of which imports torch


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(path.stem, marks=[pytest.mark.long] if path.stem in LONG else [])
        for path in sorted((ROOT / "docs/guides").glob("*.md"))
    ],
)
def test_a_guide_does_what_it_says(name, project):
    blocks = [*BLOCK.findall((ROOT / f"docs/guides/{name}.md").read_text()), ("", "")]
    assert len(blocks) > 5
    names: dict = {"__name__": "guide"}
    for (kind, code), (next_kind, expected) in pairwise(blocks):
        if kind in ("python", "bash"):
            said = run(kind, code, names)
            if next_kind == "text":
                assert MATCHES(expected, said, doctest.ELLIPSIS), f"{code}\nsaid:\n{said}\nexpected:\n{expected}"
