"""The page of whatever has that name."""

from __future__ import annotations

from dataclasses import asdict

import onnx_ir as ir

from graphc.errors import GraphcError, clean, suggest
from graphc.linting.engine import findings
from graphc.linting.lint import lints
from graphc.pipeline import pass_names
from graphc.report import layers as layer_pages
from graphc.report import lints as lint_pages
from graphc.report import passes as pass_pages
from graphc.report.page import Page, paragraphs
from graphc.report.quantity import plural
from graphc.report.table import table
from graphc.spec.layers import layers
from graphc.target import Target


def page(name: str) -> Page:
    """The page of a rewrite, a pass, a named pipeline, a layer, a lint or a category of them.

    Raises GraphcError (run/usage).
    """
    found = pass_pages.page(name)
    if found is not None:
        return found
    if name in layers():
        return layer_pages.page(name)
    if name in lints():
        return lint_pages.page(lints()[name])
    if name in lint_pages.categories():
        return lint_pages.catalogue(name)
    known = [*pass_names(), *layers(), *lints(), *lint_pages.categories()]
    raise GraphcError(f"nothing is called '{name}'", code="run/usage", hint=suggest(name, known))


def on_model(name: str, model: ir.Model, target: Target | None = None) -> Page:
    """Where a rewrite fires in a model and where it is refused, or what a lint finds there. Changes `model`.

    Raises GraphcError: run/usage for a layer, else as `graphc.findings` and `graphc.report.passes.sites`.
    """
    if "/" in name.partition("{")[0]:  # a lint is called category/defect, and nothing else is
        return _found(name, model)
    if name in layers():
        hint = f"graphc explain {name}, without a model, prints its page"
        raise GraphcError(f"'{name}' is a layer: only rewrites and lints have places", code="run/usage", hint=hint)
    return pass_pages.sites(name, model, target)


def _found(name: str, model: ir.Model) -> Page:
    found = findings(model, name)
    rows = [(finding.severity, clean(finding.node or "(unnamed)"), clean(finding.message)) for finding in found]
    value = {"name": name, "findings": [asdict(finding) for finding in found]}
    return Page(paragraphs(f"{name} finds {plural(len(found), 'place')}", table(rows, "<<<") if rows else ""), value)
