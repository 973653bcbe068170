"""Lints of specs: every code that graphc raises has one, and what the looks among them promise beyond their cases."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphc import lints

ROOT = Path(__file__).parents[1]
CATEGORIES = ("spec",)  # whose codes all have a lint
CODE = re.compile(rf"({'|'.join(CATEGORIES)})/[a-z0-9]+(-[a-z0-9]+)*")


def codes() -> Iterator[tuple[str, str]]:
    """(code, where) of every text in graphc's source that is a code of those categories."""
    for path in sorted((ROOT / "graphc").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                yield node.value, f"{path.relative_to(ROOT)}:{node.lineno}"


RAISED = dict(codes())


@pytest.mark.parametrize("code", RAISED)
def test_every_code_has_a_lint(code: str) -> None:
    assert code in lints(), f"raised at {RAISED[code]}"


def test_the_test_sees_codes() -> None:
    assert {"spec/yaml-syntax", "spec/limit-exceeded", "spec/unknown-pass"} <= set(RAISED)
