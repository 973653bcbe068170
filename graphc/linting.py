"""Lints: look at a model, never change it, and say what is wrong where.

    @lint("convolution", severity="warning", help="make the kernel a multiple of the stride")
    def checkerboard(model):
        for conv in views(model, "ConvTranspose"):
            if ...:
                yield conv.node, "3 taps at stride 2 overlap unevenly"

    @checkerboard.bad
    def uneven(g): ...          # a small model that it finds, exactly once

    @checkerboard.good
    def even(g): ...            # a small model that it does not find

A lint is named after the defect, as `category/defect`; the function's name is the defect and its file's stem.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import onnx_ir as ir

from graphc import registry, splice
from graphc.cases import Case, CaseBuilder
from graphc.errors import GraphcError, clean, suggest
from graphc.view import View

SEVERITIES = ("error", "warning", "info")
Look = Callable[[ir.Model], Iterator[tuple[ir.Node, str]]]
Build = Callable[[CaseBuilder], Any]


@dataclass(frozen=True)
class Finding:
    """What a lint found: its name `category/defect`, how bad, at which node (its name), and what helps."""

    lint: str
    severity: str
    node: str
    message: str
    help: str = ""

    def __str__(self) -> str:
        return clean(f"{self.node}: {self.severity}: {self.lint}: {self.message}")


@dataclass(frozen=True)
class Lint:
    """A look at a model; calling it gives its findings. Its cases show what it means."""

    name: str
    severity: str
    look: Look
    help: str
    bad_cases: list[Case] = field(default_factory=list, compare=False)
    good_cases: list[Case] = field(default_factory=list, compare=False)

    def __call__(self, model: ir.Model) -> tuple[Finding, ...]:
        """The findings in `model`, in the order of its nodes."""
        return tuple(
            Finding(self.name, self.severity, node.name or "", message, self.help) for node, message in self.look(model)
        )

    @property
    def doc(self) -> str:
        """The docstring of the lint's module: what, why."""
        return inspect.cleandoc(inspect.getmodule(self.look).__doc__ or "")

    def bad(self, build: Build) -> Build:
        """Decorator: a model that the lint finds exactly once. The function's name is the case's name."""
        self.bad_cases.append(_case(build))
        return build

    def good(self, build: Build) -> Build:
        """Decorator: a model that the lint has nothing to say about."""
        self.good_cases.append(_case(build))
        return build


def lint(category: str, *, severity: str, help: str) -> Callable[[Look], Lint]:
    """Declare a lint. `severity` is error, warning or info; `help` says what to do about a finding.

    The function takes a model and yields (node, message) pairs.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"severity is one of {SEVERITIES}")

    def declare(look: Look) -> Lint:
        return Lint(f"{category}/{registry.kebab(look.__name__)}", severity, look, help)

    return declare


def views(model: ir.Model, *op_types: str) -> Iterator[View]:
    """Every node of these standard operators, in order, subgraphs too."""
    for graph, opset in splice.graphs(model):
        for node in graph:
            if node.op_type in op_types and not node.domain:
                yield View(node, opset)


def lints() -> dict[str, Lint]:
    """Every lint by its name `category/defect`, from graphc and its plugins."""
    found = {}
    for entry in registry.entries(registry.LINTS).values():
        each = entry.attribute()
        if not isinstance(each, Lint):
            raise GraphcError(
                f"'{entry.name}' of {entry.distribution} is not a lint but a {type(each).__name__}",
                code="run/plugin-failed",
                hint="a module of the group graphc.lints defines a lint of its own name",
            )
        found[each.name] = each
    return dict(sorted(found.items()))


def findings(model: ir.Model, *names: str) -> tuple[Finding, ...]:
    """What the named lints find in a model, or else all of them.

    Raises GraphcError (run/unknown-selector) on an unknown name.
    """
    known = lints()
    for name in names:
        if name not in known:
            raise GraphcError(f"unknown lint '{name}'", code="run/unknown-selector", hint=suggest(name, known))
    return tuple(finding for name in names or known for finding in known[name](model))


def _case(build: Build) -> Case:
    return Case(build.__name__.replace("_", " "), build)
