"""Claims of a Markdown page, held against stored numbers.

A claim is an HTML comment, which who reads the page does not see. A page names its tables once, and what is read from
them often; then each number of its text says by a Python expression where it comes from:

    <!-- numbers
    accuracy: measured/quickstart/accuracy.csv by name
    best = max(row.accuracy for row in accuracy)
    -->
    A single frame reaches 81.75<!-- = accuracy.baseline.accuracy --> %.

``= EXPRESSION`` behind a number (digits, or a word up to twelve) or a text
    What it is; a number is held against it with as many digits as are written.
``holds: EXPRESSION`` behind a sentence
    What must be true for it.
``table: TABLE`` and lines of ``TITLE = EXPRESSION`` before a Markdown table
    Its rows are the table's, its columns these; an expression has the row's cells as names.
``not checked: REASON; SEAL``, up to ``end``
    Numbers whose data are not there; the seal changes with any digit.
``given: PHRASE | PHRASE``
    Phrases of the page whose numbers are no results: settings, names, years.

Any other number of a page is a fault, save in code, links' targets, comments and names (CIFAR-10): none stands there
unseen.
"""

import csv
import hashlib
import math
import re
import statistics
from ast import Compare, expr, parse, unparse, walk
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tabulate import tabulate

from das.errors import DasError

PAGES = ("README.md", "docs/policy_benchmark.md", "docs/results/*.md")
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
LONGEST = 100  # characters of what a claim is about

NUMBER = re.compile(rf"(?:[-+]?\d[\d,]*(?:\.\d+)?|\b(?:{'|'.join(WORDS)}))$", re.I)
UNSEEN = re.compile(r"(?<![A-Za-z\d])(?<![A-Za-z]-)\d(?:[\d.,]*\d)?")
UNREAD = re.compile(r"^```.*?^```|(?<=\n\n)(?: {4}[^\n]*\n)+|`[^`]*`|\]\([^)]*\)|<!--.*?-->", re.M | re.S)
COMMENT = re.compile(r"<!--\s*(=|numbers|holds:|table:|not checked:|given:|end)\s*(.*?)\s*-->", re.S)
ROWS = re.compile(r"\s*((?:^\|.*\n)*)", re.M)
BORDER = re.compile(r"(?<=[.!?:])\**\s|\n\s*\n|\n(?=- |[|#<])")
BUILTINS = (abs, all, any, len, max, min, round, set, sorted, str, sum, statistics.mean, statistics.median, math.isnan)


@dataclass
class Checked:
    """What a page's claims come to."""

    text: str  # the page with each number and table as it is now
    held: int = 0
    faults: list[str] = field(default_factory=list)  # PAGE:LINE: what is wrong, with the sentence
    unchecked: list[str] = field(default_factory=list)  # PAGE:LINE: why, and how many numbers


class Table:
    """The rows of a CSV, in order, and by the values of its column ``key`` (without one, by their place from 0):
    ``table["das"]``, ``table.das``. A row's cells are its attributes: whole numbers, floats (NaN for an empty cell),
    True, False, or text.

    Raises DasError for a file that cannot be read, or where two rows have one key.
    """

    def __init__(self, path: Path, key: str | None = None):
        try:
            with path.open(newline="") as file:
                self._rows = [SimpleNamespace(**{k: _cell(v) for k, v in row.items()}) for row in csv.DictReader(file)]
            names = [getattr(row, key) for row in self._rows] if key else range(len(self._rows))
        except (OSError, TypeError, AttributeError) as error:
            raise DasError(f"{path}: cannot be read as a table by {key or 'place'}: {error}") from None
        self._named = dict(zip(names, self._rows, strict=True))
        if len(self._named) < len(self._rows):
            raise DasError(f"{path}: two rows have the same {key}")

    def __iter__(self) -> Iterator[SimpleNamespace]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: Any) -> SimpleNamespace:
        if name not in self._named:
            raise DasError(f"no row {name!r}; there are {', '.join(map(str, self._named))}")
        return self._named[name]

    def __getattr__(self, name: str) -> SimpleNamespace:
        return self[name]


def one(values: Iterable[Any]) -> Any:
    """The value that all of ``values`` are; raises DasError where they differ."""
    found = set(values)
    if len(found) != 1:
        raise DasError(f"not one value but {', '.join(map(str, found)) or 'none'}")
    return found.pop()


def pages(root: Path = Path()) -> list[Path]:
    """The pages of a project that hold claims."""
    return [page for pattern in PAGES for page in sorted(root.glob(pattern))]


def check(page: Path) -> Checked:
    """Hold every claim of ``page`` against the numbers that it names. What is wrong is listed, not raised."""
    found = _Page(page)
    found.read()
    return found.result


class _Page:
    def __init__(self, page: Path):
        self.page, self.source = page, page.read_text()
        self.names: dict[str, Any] = {function.__name__: function for function in (*BUILTINS, one)}
        self.result = Checked(self.source)
        self.edits: list[tuple[int, int, str]] = []
        self.known: list[tuple[int, int]] = [span.span() for span in UNREAD.finditer(self.source)]

    def read(self) -> None:
        handlers = {
            "=": self.number, "numbers": self.tables, "holds:": self.sentence, "table:": self.table,
            "not checked:": self.unchecked, "given:": self.given,
        }  # fmt: skip
        passed = 0
        for span in UNREAD.finditer(self.source):
            comment = COMMENT.fullmatch(span.group())
            if not comment or span.start() < passed or comment[1] == "end":
                continue
            kind, said = comment.groups()
            try:
                passed = handlers[kind](span, said) or passed
            except Exception as error:  # an expression can fail in any way
                self.fault(span.start(), f"{kind} {said.splitlines()[0]}: {error}")
            self.check_visible(span)
        self.check_all_known()
        for start, end, text in reversed(self.edits):
            self.result.text = self.result.text[:start] + text + self.result.text[end:]

    def tables(self, span: re.Match, said: str) -> None:
        for line in said.splitlines():
            name, equal, expression = line.partition(" = ")
            if equal:
                self.names[name.strip()] = self.value(expression)
                continue
            name, _, rest = line.partition(":")
            path, _, key = rest.strip().partition(" by ")
            self.names[name.strip()] = Table(self.page.parent / path, key or None)

    def number(self, span: re.Match, said: str) -> None:
        value = self.value(said)
        written = re.compile(rf"{re.escape(value)}$") if isinstance(value, str) else NUMBER
        before = written.search(self.source, max(0, span.start() - LONGEST), span.start())
        if not before:
            raise DasError(f"{value!r} does not stand before it" if isinstance(value, str) else "no number before it")
        self.known.append(before.span())
        now = value if isinstance(value, str) else _as_written(before.group(), value)
        if now == before.group():
            self.result.held += 1
            return
        self.edits.append((*before.span(), now))
        sentence = self.sentence_at(before.start(), before.end(), now)
        self.fault(before.start(), f"{before.group()} is {now} by now ({said}): {sentence}")

    def sentence(self, span: re.Match, said: str) -> None:
        if self.value(said):
            self.result.held += 1
            return
        sides = [side for node in walk(parse(f"({said})")) if isinstance(node, Compare) for side in _sides(node)]
        values = dict.fromkeys(text for side in sides if (text := self.shown(side)))
        self.fault(span.start(), f"does not hold ({said}; {', '.join(values)}): {self.sentence_at(span.start() - 1)}")

    def table(self, span: re.Match, said: str) -> int:
        name, *lines = said.splitlines()
        columns = [[part.strip() for part in line.split(" = ", 1)] for line in lines]
        rows = [[self.value(text, **vars(row)) for _, text in columns] for row in self.value(name)]
        now = tabulate(rows, [title for title, _ in columns], tablefmt="pipe", disable_numparse=True) + "\n"
        there = ROWS.match(self.source, span.end())
        assert there
        start, end = there.span(1)
        self.known.append((start, end))
        if there.group(1) == now:
            self.result.held += 1
        elif there.group(1):
            self.edits.append((start, end, now))
            old = there.group(1).splitlines()
            changed = [line for line in now.splitlines() if line not in old]
            self.fault(span.start(), f"{len(changed)} lines of the table are other ones by now: {' '.join(changed)}")
        else:
            self.edits.append((span.end(), span.end(), f"\n\n{now.rstrip()}"))
            self.fault(span.start(), "its table is not there")
        return end

    def unchecked(self, span: re.Match, said: str) -> int:
        reason, _, seal = said.rpartition("; ")
        ends = [match.start() for match in COMMENT.finditer(self.source, span.end()) if match.group(1) == "end"]
        if not ends:
            raise DasError("no <!-- end --> follows")
        self.known.append((span.end(), ends[0]))
        numbers = re.findall(r"\d+", self.source[span.end() : ends[0]])
        now = hashlib.sha256(" ".join(numbers).encode()).hexdigest()[:8]
        if seal != now:
            self.fault(span.start(), f"numbers that were not checked have changed (seal {seal or said}, now {now})")
        self.result.unchecked.append(f"{self.where(span.start())}: {reason} ({len(numbers)} numbers)")
        return ends[0]

    def given(self, span: re.Match, said: str) -> None:
        for phrase in filter(None, (part.strip() for part in said.split("|"))):
            words = r"\s+".join(map(re.escape, phrase.split()))
            places = [m.span() for m in re.finditer(rf"(?<![\w.,]){words}(?!\w|[.,]\d)", self.blanked())]
            self.known += places
            if not places:
                self.fault(span.start(), f"the page no longer says {phrase!r}")

    def check_visible(self, span: re.Match) -> None:
        """A line that begins with a comment is HTML to GitHub: what stands behind the comment is not Markdown."""
        begins = not self.source[: span.start()].rpartition("\n")[2].strip()
        if begins and self.source[span.end() :].partition("\n")[0].strip():
            self.fault(span.start(), "a comment that begins a line stands alone in it")

    def check_all_known(self) -> None:
        for unseen in UNSEEN.finditer(self.blanked()):
            sentence = self.sentence_at(unseen.start(), unseen.end())
            self.fault(unseen.start(), f"{unseen.group()} is not checked, nor listed as unchecked or given: {sentence}")

    def value(self, expression: str, **names: Any) -> Any:
        return eval(f"({expression})", {"__builtins__": {}, **self.names, **names})

    def shown(self, side: expr) -> str:
        try:
            return f"{unparse(side)} = {self.value(unparse(side)):.4g}"
        except Exception:  # a name of a loop, or no number
            return ""

    def blanked(self) -> str:
        text = list(self.source)
        for start, end in self.known:
            text[start:end] = " " * (end - start)
        return "".join(text)

    def sentence_at(self, start: int, end: int | None = None, now: str | None = None) -> str:
        """The sentence around a place of the source, with ``now`` in it."""
        end = end or start
        borders = [0, *(match.end() for match in BORDER.finditer(UNREAD.sub(_spaces, self.source))), len(self.source)]
        first = max(place for place in borders if place <= start)
        last = min(place for place in borders if place > start)
        text = self.source[first:start] + (self.source[start:end] if now is None else now) + self.source[end:last]
        return f'"{" ".join(re.sub(r"<!--.*?(-->|$)", "", text, flags=re.S).split())}"'

    def where(self, place: int) -> str:
        return f"{self.page}:{self.source.count(chr(10), 0, place) + 1}"

    def fault(self, place: int, what: str) -> None:
        self.result.faults.append(f"{self.where(place)}: {' '.join(what.split())}")


def _spaces(match: re.Match) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def _sides(node: Compare) -> list[expr]:
    return [node.left, *node.comparators]


def _cell(text: str) -> Any:
    if text in ("", "True", "False"):
        return {"": math.nan, "True": True, "False": False}[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _as_written(number: str, value: float) -> str:
    """``value`` as ``number`` is written: in words or digits, decimals, sign and commas."""
    if number[-1].isalpha():
        word = WORDS[round(value)] if 0 <= round(value) < len(WORDS) else f"{value:.0f}"
        return word.capitalize() if number[0].isupper() else word
    sign = "+" if number.startswith("+") else ""
    comma = "," if "," in number else ""
    return format(value, f"{sign}{comma}.{len(number.partition('.')[2])}f")
