"""Tables for LaTeX: floats that fit the page, whatever is in them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{DEGREE SIGN}": r"$^{\circ}$", "\N{MINUS SIGN}": "$-$",
}  # fmt: skip
NUMBER = re.compile(r"([+-]?)(\d[\d,.]*)(e[+-]\d+)?(?: ± (\d[\d.]*))?(x?)")
LONG = 24  # characters of a cell or word from which on lines are broken
LETTER, GAP = 0.5, 1.5  # em: a character on the average, and what is between columns


@dataclass(frozen=True)
class Form:
    """How a table stands on the page: its float, the packages and type size that it needs, and what one float holds:
    rows, and a ``width`` (em of that type) and ``height``, where there is about as much room."""

    float: str
    packages: str
    size: str
    rows: int
    width: float
    height: str


#: Across both columns of a two-column page, upright.
SHORT = Form("table*", "booktabs, adjustbox", r"\footnotesize", 40, 52, r"0.8\textheight")
#: Across a page of its own, sideways.
FULL = Form("sidewaystable*", "booktabs, adjustbox, rotating", r"\scriptsize", 24, 85, r"0.8\textwidth")


def table(body: pd.DataFrame, caption: str, label: str, form: Form = SHORT) -> str:
    """The text of a .tex file to be read with \\input: one float, or several where ``body`` (of strings) is long.

    Numbers are aligned at the right, their intervals padded; texts are broken into lines. A table that is too wide all
    the same is made smaller.
    """
    starts = range(0, max(len(body), 1), form.rows)
    floats = []
    for start in starts:
        part = f" (part {start // form.rows + 1} of {len(starts)})" if len(starts) > 1 else ""
        named = rf"\label{{{label}}}" if start == 0 else ""
        floats.append(
            rf"\begin{{{form.float}}}" + "\n\\centering\n"
            rf"\caption{{{escaped(caption)}{part}}}{named}" + f"\n\\smallskip{form.size}\n"
            rf"\begin{{adjustbox}}{{max width=\linewidth, max totalheight={form.height}}}" + "\n"
            f"{_tabular(body, range(start, min(start + form.rows, len(body))), form.width)}\n"
            rf"\end{{adjustbox}}" + f"\n\\end{{{form.float}}}\n"
        )
    return rf"% \usepackage{{{form.packages}}} (booktabs draws the rules)" + "\n" + "\n".join(floats)


def escaped(text: str) -> str:
    """``text`` as LaTeX prints it; words that are too long for a line can be broken."""
    words = re.split(r"(\s+)", text)
    return "".join(_escaped_word(word) for word in words)


def _escaped_word(word: str) -> str:
    pieces = [word]
    if len(word) > LONG:
        pieces = re.findall(rf".{{1,{LONG // 2}}}?(?<=[^\w\s])(?=\w)|.{{1,{LONG // 2}}}", word)
    return r"\allowbreak ".join("".join(SPECIAL.get(sign, sign) for sign in piece) for piece in pieces)


def _tabular(body: pd.DataFrame, rows: Sequence[int], width: float) -> str:
    heads = [_lines(name) for name in body]
    longest = [
        max((len(text) for text in (*body[name].iloc[list(rows)], *head)), default=0)
        for name, head in zip(body, heads, strict=True)
    ]
    texts = {place: length for place, length in enumerate(longest) if length > LONG}
    room = width - sum(LETTER * length + GAP for length in longest) + sum(LETTER * length for length in texts.values())
    columns = []
    for place, name in enumerate(body):
        cells = [body[name].iloc[row] for row in rows]
        if place in texts:
            share = room * longest[place] ** 0.5 / sum(length**0.5 for length in texts.values())
            own = min(max(share, LETTER * LONG / 2), LETTER * longest[place])
            columns.append((rf"p{{{own:.1f}em}}", [rf"\raggedright\hspace{{0pt}}{escaped(cell)}" for cell in cells]))
        else:
            columns.append(_column(cells))
    lines = [" & ".join(cells) for cells in zip(*(cells for _, cells in columns), strict=True)]
    end = r" \tabularnewline"
    return "\n".join(
        [
            rf"\begin{{tabular}}{{{''.join(how for how, _ in columns)}}}",
            r"\toprule",
            " & ".join(_head(head, how) for head, (how, _) in zip(heads, columns, strict=True)) + end,
            r"\midrule",
            *(line + end for line in lines),
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _column(cells: list[str]) -> tuple[str, list[str]]:
    """The alignment of a column of short cells, and its cells in LaTeX."""
    found = [NUMBER.fullmatch(cell) for cell in cells]
    if not any(found):
        return "l", [escaped(cell) for cell in cells]
    widest = max((len(match[4]) for match in found if match and match[4]), default=0)
    return "r", [_number(match, widest) if match else escaped(cell) for cell, match in zip(cells, found, strict=True)]


def _number(match: re.Match, widest: int) -> str:
    sign, value, exponent, interval, times = match.groups()
    text = f"{sign}{value}".replace(",", "{,}")
    if exponent:
        text += rf"\cdot 10^{{{int(exponent[1:])}}}"
    if interval:
        missing = "0" * (widest - len(interval))
        text += r" \pm " + (rf"\phantom{{{missing}}}" if missing else "") + interval
    return f"${text}$" + (r"$\times$" if times else "")


def _lines(name: str) -> list[str]:
    """A column's name, on as many lines as keep it about as narrow as numbers are."""
    lines = [""]
    for word in name.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > LONG // 2:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _head(lines: list[str], alignment: str) -> str:
    stacked = r" \\ ".join(map(escaped, lines))
    return rf"\shortstack[{'r' if alignment == 'r' else 'l'}]{{{stacked}}}" if len(lines) > 1 else stacked
