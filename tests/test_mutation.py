"""Every `require` earns its place: a rewrite without one of them breaks a law on its own cases."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import types
from collections.abc import Iterator

import pytest

from graphc import laws, registry
from graphc.pipeline import rewrites
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
    for name in rewrites():
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


@pytest.mark.parametrize(("name", "index", "reason"), list(mutants()))
def test_every_condition_is_missed(name: str, index: int, reason: str) -> None:
    """Without it law 5 fails on the cases that show it: they fire, or the closed world has its own reason."""
    without = mutant(name, index)
    cases = [case for case in without.all_cases() if case.refuses == reason]
    assert cases, f"no case shows '{reason}'"
    for case in cases:
        with pytest.raises(AssertionError):
            laws.refuses(without, case)


def test_a_needless_condition_is_noticed() -> None:
    """A condition that is only there to be missed passes the test above, and fails law 7: nothing goes wrong."""
    source = """
from graphc.rewriting import require, rewrite
from graphc.cases import Case

@rewrite("Identity", numerics="exact")
def drop(node, op):
    require(node.node.name == "", "a whim")
    return node.required("input")

@drop.cases
def cases():
    yield Case("whim", lambda g: g.Relu(g.Identity(g.Neg(g.input(2)))), refuses="a whim")
"""
    whim = types.ModuleType("whim")
    linecache.cache["whim.py"] = (len(source), None, source.splitlines(keepends=True), "whim.py")
    sys.modules["whim"] = whim
    whim.__file__ = "whim.py"
    try:
        exec(compile(source, "whim.py", "exec"), whim.__dict__)
        (case,) = whim.drop.all_cases()
        laws.refuses(whim.drop, case)
        with pytest.raises(AssertionError, match="the case is right without 'a whim'"):
            laws.conditions_are_needed(whim.drop, case)
    finally:
        del sys.modules["whim"], linecache.cache["whim.py"]
