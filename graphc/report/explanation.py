"""The page of whatever has that name."""

from __future__ import annotations

from graphc.errors import GraphcError, suggest
from graphc.linting import Lint, lints
from graphc.pipeline import pass_names
from graphc.report import layers as layer_pages
from graphc.report import passes as pass_pages
from graphc.report.page import Page, paragraphs, section
from graphc.report.table import table
from graphc.spec.layers import layers


def page(name: str) -> Page:
    """The page of a rewrite, a pass, a named pipeline, a layer or a lint. Raises GraphcError (run/usage)."""
    found = pass_pages.page(name)
    if found is not None:
        return found
    if name in layers():
        return layer_pages.page(name)
    if name in lints():
        return _lint_page(lints()[name])
    known = [*pass_names(), *layers(), *lints()]
    raise GraphcError(f"nothing is called '{name}'", code="run/usage", hint=suggest(name, known))


def _lint_page(lint: Lint) -> Page:
    bad, good = ([case.name for case in cases] for cases in (lint.bad_cases, lint.good_cases))
    value = {
        "name": lint.name,
        "kind": "lint",
        "doc": lint.doc,
        "severity": lint.severity,
        "help": lint.help,
        "bad": bad,
        "good": good,
    }
    text = paragraphs(
        lint.name,
        lint.doc,
        table([("severity", lint.severity), ("what to do", lint.help)], "<<"),
        section("finds", "\n".join(f"- {case}" for case in bad)),
        section("is silent about", "\n".join(f"- {case}" for case in good)),
    )
    return Page(text, value)
