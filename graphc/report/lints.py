"""What is looked for in specs and models: the list of it, and a page of each lint."""

from __future__ import annotations

from collections.abc import Mapping

from graphc.errors import GraphcError, suggest
from graphc.linting.lint import Lint, LintCase, lints
from graphc.report.page import Page, paragraphs, section, sentence
from graphc.report.table import table


def categories() -> Mapping[str, list[Lint]]:
    """The lints by category, both sorted."""
    found: dict[str, list[Lint]] = {}
    for each in lints().values():
        found.setdefault(each.category, []).append(each)
    return found


def catalogue(category: str | None = None) -> Page:
    """Every lint, or those of one category: severity and one sentence each. Raises GraphcError (run/usage)."""
    found = categories()
    if category is not None and category not in found:
        hint = suggest(category, found)
        raise GraphcError(f"no category of lints is called '{category}'", code="run/usage", hint=hint)
    chosen = found if category is None else {category: found[category]}
    width = max((len(each.name) for each in lints().values()), default=0)
    parts = [
        section(name, table([(f"{each.name:{width}}", each.severity, sentence(each.doc)) for each in members], "<<<"))
        for name, members in chosen.items()
    ]
    told = {
        name: [{"name": each.name, "severity": each.severity, "doc": sentence(each.doc)} for each in members]
        for name, members in chosen.items()
    }
    return Page(paragraphs(*parts), told)


def page(lint: Lint) -> Page:
    """What a lint finds, why that matters and what helps, with its cases by name."""
    bad, good = ([shown(case) for case in cases] for cases in (lint.bad_cases, lint.good_cases))
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


def shown(case: LintCase) -> str:
    """A case by its name, and the settings that it needs."""
    settings = ", ".join(f"{name}={value}" for name, value in case.settings.items())
    return f"{case.name} (with {settings})" if settings else case.name
