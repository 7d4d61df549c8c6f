"""The generated reference and the editors' schema are those of the present code, and true."""

import json
from pathlib import Path

import jsonschema
import pytest

from das.study import load_study, reference
from das.study.load import read
from das.study.registry import KINDS, entries

ROOT = Path(__file__).parents[2]
STUDIES = [ROOT / "params.yaml", *sorted((ROOT / "config").glob("*.yaml"))]


def test_the_committed_pages_are_what_the_code_says():
    remake = "run `uv run python -m das.study.reference`"
    assert (ROOT / reference.MARKDOWN).read_text() == reference.markdown(), remake
    assert json.loads((ROOT / reference.SCHEMA).read_text()) == reference.schema(), remake


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_the_schema_accepts_the_projects_studies(file):
    jsonschema.validate(read(file), reference.schema())


@pytest.mark.parametrize("bad", [{"studdy": {}}, {"recipes": {"quick": {"lr": -1}}}, {"compute": {"device": "tpu"}}])
def test_the_schema_refuses_what_the_loader_refuses(bad):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, reference.schema())


def test_every_key_and_component_is_described():
    for path, model in reference.sections():
        for name, field in model.model_fields.items():
            assert field.description, f"{path}.{name}"
    page = reference.markdown()
    for kind in KINDS:
        for entry in entries(kind):
            assert f"| `{entry.name}` |" in page
    assert "`lr` | number > 0 |" in page


def test_params_yaml_names_its_schema():
    assert (ROOT / "params.yaml").read_text().startswith("# yaml-language-server: $schema=docs/params.schema.json\n")
    assert load_study([ROOT / "params.yaml"])
