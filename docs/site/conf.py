"""The documentation site, made of the repository's own Markdown files where they stand.

Sections and order of the sidebar are those of docs/README.md. Whatever a page would load from elsewhere fails the
build: the site works from a folder, without a network.
"""

import re
from importlib import metadata
from pathlib import Path

from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[2]
INDEX = "docs/README.md"
SECTION = re.compile(r"^## (.+)\n((?:(?!^## ).*\n)*)", re.M)
PAGE = re.compile(r"\]\(([^)#:]+\.md)\)")
LOADED = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\ssrc=.(?:https?:)?//|<link\b[^>]*\shref=.(?:https?:)?//")
LOADED_BY_STYLES = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")

project = "DAS"
author = project_copyright = "The DAS reproduction authors"
release = metadata.version("das")
root_doc = "README"
include_patterns = ["*.md", "docs/**.md"]
exclude_patterns = [".*", "benchmarks", "config", "data", "examples", "profiles", "results", "src", "tests", "workflow"]
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_heading_anchors = 4  # headings' addresses as GitHub has them
smartquotes_action = "D"  # dashes; quotation marks stay as they are typed
default_role = "literal"  # docstrings write names between single backticks
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = "DAS"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["index.html"]
html_copy_source = False
html_show_search_summary = False  # it would fetch the pages, which a browser does not do from a folder


def setup(app) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _add_navigation)
    app.connect("build-finished", _check_that_nothing_is_loaded)


def _add_navigation(app, docname: str, source: list[str]) -> None:
    """Give the front page the tables of contents that the sidebar shows."""
    if docname == root_doc:
        sections = SECTION.findall((ROOT / INDEX).read_text())
        tables = [_contents("", [INDEX]), *(_contents(name, PAGE.findall(body)) for name, body in sections)]
        source[0] += "\n" + "\n".join(tables)


def _contents(caption: str, links: list[str]) -> str:
    pages = [link if link == INDEX else _from_root(link) for link in links]
    return f"```{{toctree}}\n:hidden:\n{f':caption: {caption}' if caption else ''}\n\n" + "\n".join(pages) + "\n```\n"


def _from_root(link: str) -> str:
    return (ROOT / INDEX).parent.joinpath(link).resolve().relative_to(ROOT).as_posix()


def _check_that_nothing_is_loaded(app, exception: Exception | None) -> None:
    for pattern, kind in ((LOADED, "*.html"), (LOADED_BY_STYLES, "*.css")):
        for path in Path(app.outdir).rglob(kind):
            if found := pattern.search(path.read_text()):
                raise ExtensionError(f"{path} loads something from elsewhere: {found.group()}")
