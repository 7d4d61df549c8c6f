"""The house has storeys: a package imports what stands below it and never what stands above."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src/das"

#: From the ground up. Names in one line may import each other.
STOREYS = [
    {"errors", "seeding"},
    {"files", "yamlfile"},
    {"seals", "store"},
    {"study"},
    {"data"},
    {"video"},
    {"models"},
    {"augment", "tasks"},
    {"engine"},
    {"search"},
    {"analysis"},
    {"inference"},
    {"benchmark", "export", "report", "verification"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(STOREYS) for name in names}
WITHOUT_TORCH = {"errors", "seeding", "files", "yamlfile", "seals", "store", "study"}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path):
    """(module, whether at the top of the file) of every import."""
    tree = ast.parse(path.read_text())
    top = set(map(id, tree.body))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [f"das.{alias.name}" for alias in node.names] if node.module == "das" else [node.module]
            yield from ((name, id(node) in top) for name in names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path):
    for module, _ in imported(path):
        if module.startswith("das."):
            below = module.split(".")[1]
            assert LEVEL[below] <= LEVEL[part(path)], f"{path} imports {module}"


@pytest.mark.parametrize("path", [p for p in FILES if part(p) in WITHOUT_TORCH], ids=lambda path: path.name)
def test_what_a_study_is_read_with_imports_no_torch(path):
    for module, at_the_top in imported(path):
        assert module.split(".")[0] not in ("torch", "torchvision", "timm") or not at_the_top


def test_every_part_of_the_package_has_its_storey():
    assert {part(path) for path in FILES} == set(LEVEL)
