"""Claims of pages: what the repository's pages say holds, and whatever does not is said with its sentence."""

import csv
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from scipy import stats
from typer.testing import CliRunner

from das.analysis import claims
from das.cli import app

ROOT = Path(__file__).parents[2]
PAGES = claims.pages(ROOT)
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
NUMBERS = "name,accuracy,seeds,title\nbase,81.26,3,Base\ndas,80.76,3,DAS\nrandom,1234.5,3,\n"
PAGE = """# What was found

<!-- numbers
accuracy: numbers.csv by name
best = max(row.accuracy for row in accuracy)
-->

Base reaches 81.3<!-- = accuracy.base.accuracy --> %, over
three<!-- = one(row.seeds for row in accuracy) --> seeds. DAS differs by
-0.50<!-- = accuracy.das.accuracy - accuracy.base.accuracy --> points and is worse,<!-- holds: accuracy.das.accuracy <
accuracy.base.accuracy --> says the CVPR 2024 study. The best is 1,234.5<!-- = best -->, of
Base<!-- = accuracy.base.title -->.

<!-- table: accuracy
Name = name
Accuracy, % = f"{accuracy:.2f}"
-->

| Name   | Accuracy, %   |
|:-------|:--------------|
| base   | 81.26         |
| das    | 80.76         |
| random | 1234.50       |

It took <!-- not checked: time as once measured; d59eced1 -->40 minutes<!-- end --> in `folder7`, with CIFAR-10.

<!-- given: CVPR 2024 -->
"""


@pytest.fixture
def page(tmp_path):
    (tmp_path / "numbers.csv").write_text(NUMBERS)
    path = tmp_path / "page.md"

    def write(old: str = "", new: str = "", text: str = PAGE) -> Path:
        assert old in text
        path.write_text(text.replace(old, new, 1) if old else text)
        return path

    return write


def test_the_page_of_these_tests_holds(page):
    found = claims.check(page())
    assert found.faults == []
    assert found.held == 7
    assert found.text == PAGE
    assert [place.partition("page.md:")[2] for place in found.unchecked] == ["25: time as once measured (1 numbers)"]


@pytest.mark.parametrize("name", NAMES)
def test_what_the_pages_say_holds(name):
    assert claims.check(ROOT / name).faults == []


@pytest.mark.parametrize("name", NAMES)
def test_readers_do_not_see_claims(name):
    rendered = MarkdownIt("gfm-like", {"linkify": False}).render((ROOT / name).read_text())
    seen = re.sub(r"<!--.*?-->", "", rendered, flags=re.S)
    assert not re.search(r"--(>|&gt;)|(<|&lt;)!--", seen)


def prose(text: str) -> str:
    """What a reader sees of a page, without code."""
    parts = [part for token in MarkdownIt("gfm-like", {"linkify": False}).parse(text) for part in token.children or []]
    return " ".join(part.content for part in parts if part.type == "text")


@pytest.mark.parametrize("name", NAMES)
def test_a_changed_digit_is_seen(name, tmp_path):
    """Of any number that a reader sees, save in names such as ResNet-8."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("*.png", "reference.md"))
    page, text = tmp_path / name, (ROOT / name).read_text()
    seen = prose(text)
    names = {place for match in re.finditer(r"[A-Za-z]-?\d+", text) for place in range(*match.span())}
    places = [place for place, sign in enumerate(text) if sign in "0123456789" and place not in names]
    random.Random(0).shuffle(places)
    tried = 0
    for place in places:
        changed = text[:place] + str((int(text[place]) + 1) % 10) + text[place + 1 :]
        if tried < 12 and prose(changed) != seen:
            page.write_text(changed)
            line = text.count("\n", 0, place) + 1
            assert claims.check(page).faults, f"{name}:{line}: {text[place - 20 : place + 20]!r}"
            tried += 1
    assert tried > 2


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "81.3<",
            "81.4<",
            r':8: 81.4 is 81.3 by now \(accuracy.base.accuracy\): "Base reaches 81.3 %, over three seeds."',
        ),
        ("three<", "four<", ':9: four is three by now .*: "Base reaches 81.3 %, over three seeds."'),
        ("-0.50<", "0.50<", ':10: 0.50 is -0.50 by now .*: "DAS differs by -0.50 points and is worse, says the'),
        ("1,234.5<", "1,234<", None),
        ("1,234.5<", "1234.5<", None),
        ("1,234.5<", "1,324.5<", ":11: 1,324.5 is 1,234.5 by now"),
        ("\nBase<!--", "\nbase<!--", ":12: = accuracy.base.title: 'Base' does not stand before it"),
        (
            "accuracy.das.accuracy <\n",
            "accuracy.das.accuracy >\n",
            r"does not hold .*accuracy = 80.76, .*accuracy = 81.26\)",
        ),
        (
            "| das    | 80.76",
            "| das    | 80.75",
            r":14: 1 lines of the table are other ones by now: \| das \| 80.76",
        ),
        ("| das    | 80.76         |\n", "", r":14: 1 lines of the table are other ones by now: \| das \| 80.76"),
        ("40 minutes", "41 minutes", "numbers that were not checked have changed .seal d59eced1"),
        ("<!-- end -->", "", "no <!-- end --> follows"),
        ("CVPR 2024 study", "CVPR 2025 study", ":11: 2025 is not checked, nor listed"),
        ("CVPR 2024 study", "study", "no longer says 'CVPR 2024'"),
        ("with CIFAR-10", "with CIFAR-10 and 7 more", ":25: 7 is not checked, nor listed .*: .*7 more"),
        ("accuracy.base.accuracy --> %", "accuracy.bass.accuracy --> %", "no row 'bass'; there are base, das, random"),
        ("accuracy.base.accuracy --> %", "accuracy.base. --> %", ":8: = accuracy.base.: .*syntax"),
        ("reaches 81.3<", "reaches <", ":8: = accuracy.base.accuracy: no number before it"),
        ("accuracy: numbers.csv by name", "accuracy: numbers.csv by seeds", "two rows have the same seeds"),
        ("accuracy: numbers.csv", "accuracy: missing.csv", "missing.csv: cannot be read as a table by name"),
        ("<!-- given", "A\n<!-- given", None),
        ("<!-- given: CVPR 2024 -->", "<!-- given: CVPR 2024 --> and more", "begins a line stands alone in it"),
    ],
)
def test_what_does_not_hold_is_said(page, old, new, said):
    faults = claims.check(page(old, new)).faults
    assert re.search(said, "\n".join(faults)) if said else faults == []


def test_writing_puts_numbers_tables_and_words_right(page):
    wrong = PAGE.replace("81.3<", "99.9<").replace("three<", "five<").replace("-0.50<", "+0.50<")
    wrong = wrong.replace("| das    | 80.76", "| das    | 12.00")
    found = claims.check(page(text=wrong))
    assert len(found.faults) == 4
    assert found.text == PAGE
    without = re.sub(r"^\|.*\n", "", PAGE, flags=re.M).replace("-->\n\n\nIt", "-->\n\nIt")
    assert claims.check(page(text=without)).text == PAGE


def test_the_command_exits_with_1_where_something_does_not_hold(page):
    said = CliRunner().invoke(app, ["claims", str(page("81.3<", "81.4<"))])
    assert said.exit_code == 1
    assert "81.4 is 81.3 by now" in said.output
    assert CliRunner().invoke(app, ["claims", "--write", str(page("81.3<", "81.4<"))]).exit_code == 1
    done = CliRunner().invoke(app, ["claims", str(page().parent / "page.md")])
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "7 claims hold, 0 do not")


def test_the_quickstarts_table_follows_from_its_registered_numbers():
    """Means, intervals and differences by their definitions."""
    with (ROOT / "docs/results/register.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["study"] == "quickstart"]
    lines = [line for line in lines if line["commit"] == lines[-1]["commit"]]  # the newest
    scores = {}
    for line in sorted(lines, key=lambda line: int(line["seed"])):
        scores.setdefault(line["method"], []).append(100 * float(line["score"]))
    table = claims.Table(ROOT / "docs/results/measured/quickstart/accuracy.csv", "name")
    assert {row.name for row in table} == set(scores)
    for name, values in scores.items():
        difference = np.subtract(values, scores["baseline"])
        for told, found in ((table[name].accuracy, values), (table[name].difference, difference)):
            assert told == pytest.approx(np.mean(found))
        half = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
        assert table[name].accuracy_ci95 == pytest.approx(half)


def test_the_page_of_what_was_measured_again_says_what_its_tables_say():
    folder = ROOT / "docs/policy_benchmark"
    told = re.findall(r"\d\d\.\d\d", (folder / "again.md").read_text())
    tables = [
        claims.Table(folder / name / "chosen.csv")
        for name in ("fashion_mnist_small_resnet8w8", "cifar10_small_resnet8w8")
    ]
    rows = [row for table in tables for row in table]
    stored = [f"{value:.2f}" for row in rows for value in (row.accuracy, row.accuracy_low, row.accuracy_high)]
    assert told[: len(stored)] == stored
