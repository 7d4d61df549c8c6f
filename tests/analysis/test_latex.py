"""LaTeX tables: what they escape, and that they fit a two-column page whatever is in them."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest

from das.analysis import latex
from das.analysis.written import write

HOSTILE = r"50 % of $x_1^2$ & #3 {a|b} ~ \emph{no} <i>1 > 0</i>"
UNBROKEN = "a_very-long.name/" * 12
SENTENCE = "one of many words " * 11
TEXMF = pytest.mark.skipif(
    not shutil.which("pdflatex") or not shutil.which("pdftotext"), reason="needs pdflatex and pdftotext (poppler)"
)


def body(rows=3, **columns):
    columns = {"Method": "DAS", "Accuracy, %": "81.75 ± 2.03", "p (Holm)": "0.060", **columns}
    return pd.DataFrame({name: [value] * rows for name, value in columns.items()})


def compiled(folder: Path, *tables: Path) -> tuple[str, str]:
    """The log of a two-column article that reads the tables, and its text."""
    packages = {name for t in tables for name in re.search(r"usepackage\{(.*?)\}", t.read_text())[1].split(", ")}
    inputs = "\n".join(rf"\input{{{table}}}\clearpage" for table in tables)
    document = folder / "article.tex"
    document.write_text(
        rf"\documentclass[twocolumn]{{article}}\usepackage{{{','.join(sorted(packages))}}}"
        rf"\begin{{document}}Words.{inputs}\end{{document}}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", document.name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stdout[-2000:]
    text = subprocess.run(["pdftotext", "-layout", "article.pdf", "-"], cwd=folder, capture_output=True, text=True)
    return (folder / "article.log").read_text(errors="replace"), text.stdout


def fits(log: str) -> bool:
    return "Float too large" not in log and all(
        float(points) <= 2 for points in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt", log)
    )


@TEXMF
@pytest.mark.parametrize(
    "table",
    [
        body(),
        body(rows=0),
        body(rows=130),
        body(Method=HOSTILE),
        body(Method=UNBROKEN, Remarks=UNBROKEN, Equal=SENTENCE),
        body(Method=SENTENCE, **{f"Column of many words {n}": "1,234.5 ± 10.25" for n in range(18)}),
    ],
    ids=["small", "empty", "130 rows", "hostile", "unbroken", "20 columns"],
)
def test_every_table_fits_a_two_column_article(table, tmp_path):
    """Both forms, the short one being given all the columns, too."""
    write(tmp_path / "made_up", table, table, caption=f"Numbers. {HOSTILE}", short=table.columns)
    log, text = compiled(tmp_path, tmp_path / "made_up.tex", tmp_path / "made_up_full.tex")
    assert fits(log), log[-3000:]
    assert text.count("81.75 ± 2.03") == 2 * len(table)
    assert "multiply" not in log  # labels


@TEXMF
def test_what_latex_reads_as_commands_is_printed_as_it_stands(tmp_path):
    signs = r"\ { } $ & # % _ ~ ^ < > | ± × ° −"  # noqa: RUF001
    (tmp_path / "signs.tex").write_text(latex.table(pd.DataFrame({"Signs": [signs]}), "None", "tab:signs"))
    _, text = compiled(tmp_path, tmp_path / "signs.tex")
    glyphs = str.maketrans({"\N{SMALL TILDE}": "~", "\N{MODIFIER LETTER CIRCUMFLEX ACCENT}": "^",
                            "\N{WHITE BULLET}": "\N{DEGREE SIGN}"})  # fmt: skip
    printed = "".join(next(line for line in text.splitlines() if "#" in line).translate(glyphs).split())
    assert printed == signs.replace(" ", "").replace("_", "")  # TeX draws the underscore as a line


def test_numbers_are_aligned_by_padding_their_intervals():
    table = body(rows=2)
    table.loc[1, "Accuracy, %"] = "9.50 ± 12.25"
    text = latex.table(table, "c", "l")
    assert r"\begin{tabular}{lrr}" in text
    assert r"$81.75 \pm \phantom{0}2.03$" in text
    assert r"$9.50 \pm 12.25$" in text


def test_a_table_has_its_caption_a_label_and_says_what_it_needs():
    text = latex.table(body(rows=41), "What it is.", "tab:x")
    assert text.startswith(r"% \usepackage{booktabs, adjustbox}")
    assert text.count(r"\begin{table*}") == text.count(r"\caption{What it is.") == text.count(r"\centering") == 2
    assert text.count(r"\label{tab:x}") == 1  # of the first part
    assert "(part 2 of 2)" in text
