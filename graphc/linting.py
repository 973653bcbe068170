"""Lints: look at a model, never change it, and say what is wrong where.

    @lint("ConvTranspose", category="convolution", severity="warning", help="make the kernel a multiple of the stride")
    def checkerboard(conv):
        if ...:
            return "3 taps at stride 2 overlap unevenly"

    @checkerboard.bad
    def uneven(g): ...          # a small model that it finds, exactly once

    @checkerboard.good
    def even(g): ...            # a small model that it does not find

A lint is named after the defect, as `category/defect`; the function's name is the defect and its file's stem. It looks
at one node at a time, through a View; where that refuses, the finding is `run/not-analysed`, never silence.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import onnx_ir as ir

from graphc import registry, walk
from graphc.cases import Case, CaseBuilder
from graphc.errors import GraphcError, clean, suggest
from graphc.view import Refusal, View

SEVERITIES = ("error", "warning", "info")
NOT_ANALYSED = "run/not-analysed"
Look = Callable[[View], str | None]
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
    """A look at every node of some operators; calling it on a model gives its findings. Cases show what it means."""

    name: str
    roots: tuple[str, ...]
    severity: str
    look: Look
    help: str
    bad_cases: list[Case] = field(default_factory=list, compare=False)
    good_cases: list[Case] = field(default_factory=list, compare=False)

    def __call__(self, model: ir.Model) -> tuple[Finding, ...]:
        """The findings in `model`, subgraphs and functions too, in the order of its nodes."""
        return tuple(self._findings(model))

    def _findings(self, model: ir.Model) -> Iterator[Finding]:
        for graph, opset in walk.graphs(model):
            for node in graph:
                if node.op_type not in self.roots or node.domain:
                    continue
                try:
                    message = self.look(View(node, opset))
                except (Refusal, GraphcError) as unreadable:
                    why = f"{self.name} could not be finished: {unreadable}"
                    yield Finding(NOT_ANALYSED, "warning", node.name or "", why)
                    continue
                if message:
                    yield Finding(self.name, self.severity, node.name or "", message, self.help)

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


def lint(root: str, *more: str, category: str, severity: str, help: str) -> Callable[[Look], Lint]:
    """Declare a lint of these operators. `severity` is error, warning or info; `help` says what to do about a finding.

    The function takes a View and returns what is wrong with that node, None if nothing is. It may raise Refusal, as
    views do: then the node was not analysed.
    """
    if severity not in SEVERITIES:
        raise ValueError(f"severity is one of {SEVERITIES}")

    def declare(look: Look) -> Lint:
        return Lint(f"{category}/{registry.kebab(look.__name__)}", (root, *more), severity, look, help)

    return declare


@cache
def lints() -> dict[str, Lint]:
    """Every lint by its name `category/defect`, from graphc and its plugins."""
    return registry.objects(registry.LINTS, _offered)


def find_lint(name: str) -> Lint:
    """The lint of that name. Raises GraphcError: run/unknown-selector, run/plugin-failed where its module is broken."""
    if name in lints():
        return lints()[name]
    broken = registry.entries(registry.LINTS).get(name.rpartition("/")[2])
    if broken:
        _offered(broken)
    raise GraphcError(f"unknown lint '{name}'", code="run/unknown-selector", hint=suggest(name, lints()))


def findings(model: ir.Model, *names: str) -> tuple[Finding, ...]:
    """What the named lints find in a model, or else all of them. Raises GraphcError as `find_lint`."""
    asked = [find_lint(name) for name in names] or lints().values()
    return tuple(finding for each in asked for finding in each(model))


def _offered(entry: registry.Entry) -> Mapping[str, Lint]:
    """The lint of an entry, by its name. Raises GraphcError (run/plugin-failed) when it is none."""
    each = entry.attribute()
    if not isinstance(each, Lint):
        raise GraphcError(
            f"'{entry.name}' of {entry.distribution} is not a lint but a {type(each).__name__}",
            code="run/plugin-failed",
            hint="a module of the group graphc.lints defines a lint of its own name",
        )
    return {each.name: each}


def _case(build: Build) -> Case:
    return Case(build.__name__.replace("_", " "), build)
