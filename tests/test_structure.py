"""The shape of the house: who may import whom, what is public, and how long a file may be."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from pathlib import Path

import networkx
import pytest

import graphc

ROOT = Path(__file__).parents[1]
CONTENT = ROOT / "passes" / "graphc_passes"
# Each of these imports nothing that stands behind it, not even through others.
ORDER = (
    {"errors"},
    {"view", "convolution"},
    {"costs", "ops"},
    {"rewriting", "linting", "analysis", "gradient"},
    {"pipeline"},
    {"cli"},
)
LONGEST = 400


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[str]:
    """Every imported module and `module.name`, in functions too, but not what only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node)


def imported_by(path: Path) -> set[str]:
    return set(imports(ast.parse(path.read_text("utf-8"))))


def parts() -> networkx.DiGraph:
    """The modules and packages right under graphc, with an edge from each to what it imports."""
    modules = {module_of(path) for path in sources(ROOT / "graphc")}
    graph = networkx.DiGraph()
    for path in sources(ROOT / "graphc"):
        mine = module_of(path).split(".")[1:2]
        theirs = {name.split(".")[1] for name in imported_by(path) & modules if "." in name}
        graph.add_edges_from((part, other) for part in mine for other in theirs - {part})
    return graph


@pytest.fixture(scope="module")
def house() -> networkx.DiGraph:
    found = parts()
    assert {"errors", "view", "ops", "rewriting", "pipeline", "cli"} <= set(found), "the test sees no imports"
    return found


@pytest.mark.parametrize(
    ("before", "after"), list(itertools.combinations(ORDER, 2)), ids=lambda names: " ".join(sorted(names))
)
def test_imports_point_one_way(house: networkx.DiGraph, before: set[str], after: set[str]) -> None:
    for module in before & set(house):
        assert not networkx.descendants(house, module) & after, f"{module} must not know of {after}"


def test_imports_make_no_circle(house: networkx.DiGraph) -> None:
    assert list(networkx.simple_cycles(house)) == []


@pytest.mark.parametrize("path", sources(ROOT / "graphc"), ids=shown)
def test_mechanism_knows_no_content(path: Path) -> None:
    assert not [name for name in imported_by(path) if name.startswith("graphc_passes")]


@pytest.mark.parametrize("path", sources(CONTENT), ids=shown)
def test_content_uses_public_names_only(path: Path) -> None:
    public = {"graphc"} | {f"graphc.{name}" for name in graphc.__all__}
    used = {name for name in imported_by(path) if name.split(".")[0] == "graphc"}
    assert used <= public


@pytest.mark.parametrize("path", sources(ROOT / "graphc") + sources(CONTENT), ids=shown)
def test_onnxruntime_is_imported_in_one_place(path: Path) -> None:
    inside = path.is_relative_to(ROOT / "graphc" / "runtime")
    assert inside or "onnxruntime" not in {name.split(".")[0] for name in imported_by(path)}


@pytest.mark.parametrize("path", sources(ROOT / "graphc") + sources(CONTENT), ids=shown)
def test_file_says_what_it_is_for_and_why_it_is_long(path: Path) -> None:
    text = path.read_text("utf-8")
    doc = ast.get_docstring(ast.parse(text)) or ""
    assert doc or not text.strip(), "no docstring"
    assert len(text.splitlines()) <= LONGEST or "long" in doc, f"over {LONGEST} lines, and no word why"


@pytest.mark.parametrize("name", graphc.__all__)
def test_public_name_is_there_and_explained(name: str) -> None:
    found = getattr(graphc, name)
    assert found.__name__ == name
    assert inspect.getdoc(found), "no docstring"
