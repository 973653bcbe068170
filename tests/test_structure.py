"""The shape of the house: who may import whom, what is public, and how long a file may be."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import graphc

ROOT = Path(__file__).parents[1]
CONTENT = ROOT / "passes" / "graphc_passes"
LAYERS = (  # of graphc: every part of it, and each imports only what stands before it
    "collector errors files limits naming walk",
    "startup",
    "axis view convolution",
    "folding inference metadata registry",
    "costs ops",
    "external proto scan model",
    "splice price tape rewriting",
    "cases",
    "runtime spec",
    "analysis",
    "target pipeline laws",
    "source compilation certificate",
    "linting",
    "report catalogue cli",
)
ORDER = [part for layer in LAYERS for part in layer.split()]
LONGEST = 400


def sources(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


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


def test_every_part_has_its_place() -> None:
    parts = [p.stem for p in (ROOT / "graphc").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()]
    assert len(ORDER) == len(set(ORDER))
    assert set(ORDER) == set(parts) - {"__init__"}


@pytest.mark.parametrize("part", ORDER)
def test_imports_point_one_way(part: str) -> None:
    folder = ROOT / "graphc" / part
    files = sources(folder) if folder.is_dir() else [folder.with_suffix(".py")]
    imported = {name.split(".")[1] for path in files for name in imported_by(path) if name.startswith("graphc.")}
    behind = ORDER[ORDER.index(part) + 1 :]
    assert not imported & set(behind)


def test_the_test_sees_imports() -> None:
    assert "graphc.spec.network" in imported_by(ROOT / "graphc" / "spec" / "doors.py")
    assert "graphc.compilation" in imported_by(ROOT / "graphc" / "cli" / "build.py"), "those inside functions, too"


def test_map_of_the_readme_names_every_part() -> None:
    """In the first column of the table: `graphc/a`, `b` | what they are."""
    table = (ROOT / "README.md").read_text("utf-8").partition("## The code")[2]
    cells = re.findall(r"^\| `graphc/(.+?) \|", table, re.MULTILINE)
    assert sorted(name for cell in cells for name in re.findall(r"\w+", cell)) == sorted(ORDER)


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
    assert found.__name__.rpartition(".")[2] == name
    assert inspect.getdoc(found), "no docstring"


TELLING = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "examples").rglob("*.md"))]
TELLING += sources(ROOT / "examples")
DOTTED = re.compile(r"(from |import |-m |)\b(graphc(?:\.[A-Za-z_]\w*)+)")


@pytest.mark.parametrize("path", TELLING, ids=shown)
def test_dotted_names_are_there_as_they_are_told(path: Path) -> None:
    """`graphc.x.y` after `import graphc` alone; a module that is imported or run by its name is one."""
    told = {(bool(how), name) for how, name in DOTTED.findall(path.read_text("utf-8"))}
    script = "import operator, sys, graphc\nfor name in sys.argv[1:]: operator.attrgetter(name)(graphc)"
    names = [name.removeprefix("graphc.") for imported, name in sorted(told) if not imported]
    done = subprocess.run([sys.executable, "-c", script, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for imported, name in told:
        assert not imported or find_spec(name), name
