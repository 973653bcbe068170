"""What may stand in a pipeline: the list of it, a page of each, and what a rewrite would do to a model."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import onnx_ir as ir

from graphc import registry
from graphc.errors import GraphcError, clean, suggest
from graphc.pipeline import (
    find_pass,
    find_rewrite,
    named_pipelines,
    onnx_ir_passes,
    parse,
)
from graphc.report.page import Page, paragraphs, section, sentence
from graphc.report.quantity import plural
from graphc.report.table import table
from graphc.rewriting import Rewrite, RewritePass, Site
from graphc.target import Target


def catalogue() -> Page:
    """Every rewrite, every pass of onnx_ir and every named pipeline, with one sentence each."""
    rows = {
        "rewrites and passes": list(registry.objects(registry.PASSES, _sentences).items()),
        "passes of onnx_ir": [(name, _onnx_ir_doc(name)) for name in onnx_ir_passes()],
        "named pipelines": [(name, ", ".join(_steps(name))) for name in named_pipelines()],
    }
    width = max((len(name) for members in rows.values() for name, _ in members), default=0)
    parts = [
        section(title, table([(f"{name:{width}}", doc) for name, doc in members], "<<"))
        for title, members in rows.items()
        if members
    ]
    value = {title: [{"name": name, "doc": doc} for name, doc in members] for title, members in rows.items()}
    return Page(paragraphs(*parts), value)


def page(name: str) -> Page | None:
    """The page of a rewrite, a pass or a named pipeline; None if there is none of that name."""
    if name in named_pipelines():
        return _pipeline_page(name)
    if name in onnx_ir_passes():
        return _class_page(name, onnx_ir_passes()[name])
    if name not in registry.entries(registry.PASSES):
        return None
    found = registry.find(registry.PASSES, name).attribute()
    if isinstance(found, Rewrite):
        return rewrite_page(found)
    assert isinstance(found, type)  # find_pass refuses anything else
    return _class_page(name, found)


def rewrite_page(rewrite: Rewrite) -> Page:
    """What a rewrite does, its law, its conditions, and what its cases show."""
    cases = [{"name": case.name, "refuses": case.refuses} for case in rewrite.all_cases()]
    shown = Counter(case["refuses"] for case in cases if case["refuses"])
    own = {condition.reason for condition in rewrite.conditions}
    options = {name.replace("_", "-"): default for name, default in rewrite.options.items()}
    value = {
        "name": rewrite.name,
        "kind": "rewrite",
        "doc": rewrite.doc,
        "roots": list(rewrite.roots),
        "numerics": rewrite.numerics,
        "bound": rewrite.bound,
        "improves": list(rewrite.improves),
        "options": options,
        "conditions": [{"reason": c.reason, "conservative": c.conservative} for c in rewrite.conditions],
        "cases": cases,
    }
    numerics = {
        "exact": "exact: the outputs are bit-equal",
        "reassociates": "reassociates: the same real function, rounded otherwise",
        "approximates": f"approximates: within {rewrite.bound:g}, relative",
    }[rewrite.numerics]
    facts = [
        ("looks at", ", ".join(rewrite.roots)),
        ("numerics", numerics),
        ("improves", ", ".join(rewrite.improves) or "nothing by itself: it makes way for other passes"),
        ("options", ", ".join(f"{name}={default}" for name, default in options.items())),
    ]
    conditions = [
        f"- {c.reason}" + (f" (stricter than needed: {c.conservative})" if c.conservative else "")
        for c in rewrite.conditions
    ]
    conditions += [f"- {reason}" for reason in shown if reason not in own]
    return Page(
        paragraphs(
            rewrite.name,
            rewrite.doc,
            table(facts, "<<"),
            section("refuses", "\n".join(conditions)),
            section("fires on", "\n".join(f"- {case['name']}" for case in cases if not case["refuses"])),
        ),
        value,
    )


def sites(text: str, model: ir.Model, target: Target | None = None) -> Page:
    """Where a rewrite (`name` or `name{option=1}`) fires in a model, for a target, and where not. Changes `model`.

    Raises GraphcError: spec/unknown-pass, spec/unknown-pass-option.
    """
    parsed = list(parse(text))
    if len(parsed) != 1:
        raise GraphcError(f"'{text}' is not one rewrite", code="run/usage", hint="explain one at a time")
    name, options = parsed[0]
    _require_rewrite(name)
    made = find_pass(name, options, target.cheaper if target is not None else None)
    assert isinstance(made, RewritePass)  # it is made from a rewrite
    made(model)
    fired, refused = made.fired, made.refused
    value = {
        "name": name,
        "fired": [site.node for site in fired],
        "refused": [{"node": site.node, "reason": site.reason} for site in refused],
    }
    rows = [*(("fires", _node(site), clean(site.reason)) for site in fired), *_refusals(refused)]
    roots = " or ".join(find_rewrite(name).roots)
    places = [plural(len(found), "place") for found in (fired, refused)]
    return Page(
        paragraphs(
            f"{name} fires at {places[0]} and is refused at {places[1]}",
            table(rows, "<<<") if rows else f"the model has no {roots}",
        ),
        value,
    )


def _refusals(refused: Sequence[Site]) -> Iterator[tuple[str, str, str]]:
    """One row per reason, the rarest first: where a pattern is absent, one reason stands for most places."""
    by_reason: dict[str, list[Site]] = {}
    for site in refused:
        by_reason.setdefault(site.reason, []).append(site)
    for reason, found in sorted(by_reason.items(), key=lambda item: len(item[1])):
        yield "refused", _node(found[0]) if len(found) == 1 else f"{len(found)} places", clean(reason)


def _node(site: Site) -> str:
    return site.node or "(unnamed)"


def _require_rewrite(name: str) -> None:
    if name in {*onnx_ir_passes(), *named_pipelines()}:
        raise GraphcError(
            f"'{name}' is no rewrite: it has no sites to explain",
            code="run/usage",
            hint="graphc build -p with --dump-after-each DIR shows what it does",
        )
    if name not in registry.entries(registry.PASSES):
        raise GraphcError(
            f"unknown rewrite '{name}'",
            code="spec/unknown-pass",
            hint=suggest(name, registry.entries(registry.PASSES)),
        )


def _pipeline_page(name: str) -> Page:
    steps = _steps(name)
    rows = [(step, _one_line(step)) for step in steps]
    return Page(
        paragraphs(f"{name}: a named pipeline", table(rows, "<<", indent=2)),
        {"name": name, "kind": "pipeline", "text": named_pipelines()[name], "passes": steps},
    )


def _steps(pipeline: str) -> list[str]:
    return [name for name, _ in parse(named_pipelines()[pipeline])]


def _class_page(name: str, cls: type[Any]) -> Page:
    doc = inspect.cleandoc(cls.__doc__ or "") or _onnx_ir_doc(name)
    origin = cls.__module__.partition(".")[0]
    parameters = inspect.signature(cls).parameters
    options = {key.replace("_", "-"): repr(p.default) for key, p in parameters.items() if p.default is not p.empty}
    return Page(
        paragraphs(
            f"{name}: a pass of {origin}",
            doc,
            section("options", "\n".join(f"{key}={default}" for key, default in options.items())),
        ),
        {"name": name, "kind": "pass", "doc": doc, "options": options},
    )


def _one_line(name: str) -> str:
    if name in named_pipelines():
        return f"a named pipeline: {', '.join(_steps(name))}"
    if name in onnx_ir_passes():
        return _onnx_ir_doc(name)
    return _sentences(registry.find(registry.PASSES, name))[name]


def _sentences(entry: registry.Entry) -> dict[str, str]:
    """The first sentence of a pass's module, by the name of the pass."""
    return {entry.name: sentence(entry.load().__doc__ or "")}


def _onnx_ir_doc(name: str) -> str:
    """The first sentence of the class's own docstring; where it has none, its name says it."""
    doc = re.sub(r":\w+:|`", "", sentence(onnx_ir_passes()[name].__doc__ or ""))
    return doc or f"{name.replace('-', ' ').capitalize()}."
