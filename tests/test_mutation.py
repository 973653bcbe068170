"""Every `require` earns its place: a rewrite without one of them breaks a law on its own cases."""

from __future__ import annotations

import ast
import inspect
import types
from collections.abc import Iterator

import pytest

from graphc import laws, registry
from graphc.pipeline import find_rewrite
from graphc.rewriting import Rewrite


def requires(tree: ast.AST) -> list[ast.Expr]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Name)
        and node.value.func.id == "require"
    ]


def mutants() -> Iterator[tuple[str, int, str]]:
    for name in registry.entries(registry.PASSES):
        source = inspect.getsource(registry.find(registry.PASSES, name).load())
        for index, found in enumerate(requires(ast.parse(source))):
            assert isinstance(found.value, ast.Call)
            yield name, index, ast.literal_eval(found.value.args[1])


class Without(ast.NodeTransformer):
    """Replaces the statement by `pass`."""

    def __init__(self, target: ast.Expr) -> None:
        self.target = target

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node) if node is self.target else node


def mutant(name: str, index: int) -> Rewrite:
    module = registry.find(registry.PASSES, name).load()
    tree = ast.parse(inspect.getsource(module))
    mutated = ast.fix_missing_locations(Without(requires(tree)[index]).visit(tree))
    fresh = types.ModuleType(module.__name__)
    exec(compile(mutated, f"<{name} without condition {index}>", "exec"), fresh.__dict__)
    found = getattr(fresh, name.replace("-", "_"))
    assert isinstance(found, Rewrite)
    return found


def broken(rewrite: Rewrite) -> bool:
    for case in rewrite.all_cases():
        law = laws.fires if case.refuses is None else laws.refuses
        try:
            law(rewrite, case)
        except Exception:  # a mutant may fail in any way
            return True
    return False


@pytest.mark.parametrize(("name", "index", "reason"), list(mutants()))
def test_every_condition_is_missed(name: str, index: int, reason: str) -> None:
    assert broken(mutant(name, index)), f"no case notices that '{reason}' is gone"


def test_the_originals_are_not_broken() -> None:
    for name in registry.entries(registry.PASSES):
        assert not broken(find_rewrite(name)), name
