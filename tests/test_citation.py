"""CITATION.cff and the data card say what is there."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_citation_has_what_its_format_requires_and_the_packages_version():
    """Keys as version 1.2.0 of the Citation File Format requires them."""
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    package = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert cited.keys() >= {"cff-version", "message", "title", "authors"}
    assert cited["cff-version"] == "1.2.0"
    assert (cited["version"], cited["license"]) == (package["version"], package["license"])
    assert cited["preferred-citation"].keys() >= {"type", "title", "authors"}
    assert all(author.keys() & {"name", "family-names"} for author in cited["preferred-citation"]["authors"])


def test_the_data_card_lists_every_file_and_column():
    folder = ROOT / "docs/results"
    card = (folder / "README.md").read_text()
    measured = [path.relative_to(folder).as_posix() for path in folder.rglob("*.csv")]
    assert set(re.findall(r"\]\((\S+\.csv)\)", card)) == set(measured)
    listed = card.partition("**The register's columns**")[2].partition("**What moved**")[0]
    columns = [name for row in re.findall(r"^\| ([a-z_, ]+) \|", listed, re.M) for name in row.split(", ")]
    header = (folder / "register.csv").read_text().partition("\n")[0].split(",")
    assert set(columns) - {"column"} == set(header)
