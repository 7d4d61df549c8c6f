"""Links of the Markdown files lead somewhere, as GitHub reads them: files that git has, headings that there are."""

import re
import subprocess
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[1]
TRACKED = set(subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines())
PAGES = sorted(name for name in TRACKED if name.endswith(".md") and ("/" not in name or name.startswith("docs/")))


@cache
def tokens(page: str) -> list:
    return MarkdownIt("gfm-like", {"linkify": False}).parse((ROOT / page).read_text())


def anchors(page: str) -> set[str]:
    """Addresses of a page's headings: lower case, without punctuation, spaces become hyphens; repeated ones count."""
    found: dict[str, int] = {}
    for heading, content in pairwise(tokens(page)):
        if heading.type == "heading_open":
            text = "".join(part.content for part in content.children if part.type in ("text", "code_inline"))
            name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found[name] = found.get(name, 0) + 1
    return {f"{name}-{count}" if count else name for name, times in found.items() for count in range(times)}


def links(page: str) -> list[str]:
    named = {"link_open": "href", "image": "src"}
    parts = [part for token in tokens(page) for part in token.children or []]
    return [str(part.attrs[named[part.type]]) for part in parts if part.type in named]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for link in links(page):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent.joinpath(path).resolve().relative_to(ROOT).as_posix() if path else page
        assert target in TRACKED or any(name.startswith(f"{target}/") for name in TRACKED), f"{page}: {link}"
        assert not anchor or anchor in anchors(target), f"{page}: {link} names no heading of {target}"


def test_the_gallery_shows_every_picture():
    shown = set(links("docs/gallery.md"))
    assert {name.removeprefix("docs/") for name in TRACKED if name.startswith("docs/images/")} <= shown
