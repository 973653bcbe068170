"""Lets lints look at a subject, and makes findings of what they and the readers say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import onnx_ir as ir

from graphc.errors import GraphcError, Where
from graphc.limits import DEFAULT, Limits
from graphc.linting.finding import NOT_ANALYSED, Finding, Fix, Problem, Severity, content_of
from graphc.linting.lint import Lint, LintCase, find_lint, lints, selected
from graphc.linting.settings import DEFAULTS, Settings, checked
from graphc.linting.subject import Subject, of_model, opened
from graphc.view import Refusal

FAILED = "run/plugin-failed"


def findings(
    source: str | Path | ir.Model, *names: str, settings: Settings = DEFAULTS, limits: Limits = DEFAULT
) -> tuple[Finding, ...]:
    """What the named lints find in a model or a spec, or else those that the settings select.

    What the readers of a file say is found too, unless other lints are named. This process does all of the work: for
    untrusted models see `graphc.linting.worker`. Raises GraphcError as `find_lint`.
    """
    asked = [find_lint(name) for name in names] or chosen(settings)
    if isinstance(source, ir.Model):
        subject = of_model(source, settings, limits)
    else:
        subject = opened(str(source), settings, limits)
        settings = subject.settings
    found = [finding for each in asked for finding in look(subject, each)]
    found = [*reading(subject, asked), *found]
    return tuple(ordered(subject, (under(finding, settings) for finding in found)))


def found_in(case: LintCase, folder: Path, *names: str) -> tuple[Finding, ...]:
    """What the lints find in a case, under its settings; where it is a file, that is written to `folder`."""
    source = case.model() if case.kind == "model" else case.write(folder)
    return findings(source, *names, settings=settings_of(case))


def settings_of(case: LintCase) -> Settings:
    """The settings under which a case is linted."""
    return checked({name.replace("_", "-"): value for name, value in case.settings.items()}, case.name)


def chosen(settings: Settings) -> list[Lint]:
    """The lints that the settings select, less those they ignore and, unless the model is to `run`, those that run it.

    Raises GraphcError (run/unknown-selector).
    """
    wanted = {each.name for selector in (*settings.select, *settings.extend_select) for each in selected(selector)}
    unwanted = {each.name for selector in settings.ignore for each in selected(selector)}
    return [each for name, each in lints().items() if name in wanted - unwanted and (settings.run or not each.runs)]


def look(subject: Subject, lint: Lint) -> Iterator[Finding]:
    """What one lint finds. It raises nothing: where it cannot finish, that is the finding."""
    if lint.look is None or not (subject.has_model if lint.on != "spec" else subject.network is not None):
        return
    try:
        for problem in lint.problems(subject):
            yield _finding(subject, lint, problem)
    except (Refusal, GraphcError) as unreadable:
        yield _finding(subject, lint, Problem(str(unreadable), unfinished=True))
    except Exception as error:  # a lint is a plugin's code: what it raises besides is a fault, told as one
        message = f"{lint.name} of module {lint.module} raised {type(error).__name__}: {error}"
        yield Finding(FAILED, "error", message, help="report it to who ships that lint", file=subject.source)


def reading(subject: Subject, asked: Iterable[Lint]) -> Iterator[Finding]:
    """What reading the subject said, of the lints asked for; all of it where reading could not go on from there."""
    names = {each.name for each in asked}
    known = lints()
    for error in subject.errors:
        lint = known.get(error.code)
        if lint is not None and lint.name not in names and subject.has_model:
            continue
        yield Finding(
            error.code,
            lint.severity if lint is not None else "error",
            error.message,
            error.node,
            error.hint or (lint.help if lint is not None else ""),
            error.where or _placed(subject, error.node),
            notes=error.notes,
            content=error.where.text.strip() if error.where else "",
            file=subject.source,
        )


def under(finding: Finding, settings: Settings) -> Finding:
    """The finding with the severity that the settings give its lint, or else its category."""
    category = finding.lint.partition("/")[0]
    severity = settings.severity.get(finding.lint, settings.severity.get(category))
    return finding if severity is None else finding.under(severity)


def ordered(subject: Subject, found: Iterable[Finding]) -> Sequence[Finding]:
    """Findings in the order of the file: of the spec's lines, or of the model's nodes."""
    order = {name: index for index, name in enumerate(subject.named)} if subject.has_model else {}

    def place(finding: Finding) -> tuple[bool, str, int, int, int]:
        where = finding.where
        return (
            where is None and not finding.node,  # what is about everything comes last
            where.file if where else "",
            where.line if where else 0,
            where.column if where else 0,
            order.get(finding.node, -1),
        )

    return sorted(found, key=place)


def _finding(subject: Subject, lint: Lint, problem: Problem) -> Finding:
    at = problem.at
    where, node, content = None, "", ""
    if isinstance(at, Where):
        where, content = at, at.text.strip()
    elif isinstance(at, ir.Node):
        where, node, content = subject.place(at), at.name or "", content_of(at)
    elif isinstance(at, ir.Value):
        where, node = subject.place(at.producer()), at.name or ""
        content = str(at.type)
    message, name, severity, help = problem.message, lint.name, problem.severity or lint.severity, problem.help
    fix = problem.fix or (Fix(f"run {', '.join(lint.fix)}", passes=lint.fix) if lint.fix else None)
    if problem.unfinished:
        message, name, severity = f"{lint.name} could not be finished: {message}", NOT_ANALYSED, _not_analysed()
    return Finding(
        name,
        severity,
        message,
        node,
        help or ("" if problem.unfinished else lint.help),
        where,
        problem.measured,
        problem.limit,
        None if problem.unfinished else fix,
        tuple(problem.notes),
        content,
        subject.source,
    )


def _not_analysed() -> Severity:
    known = lints().get(NOT_ANALYSED)
    return known.severity if known is not None else "warning"


def _placed(subject: Subject, name: str) -> Where | None:
    """The place in a spec of the node of that name."""
    if not name or not subject.has_model:
        return None
    return subject.place(subject.named.get(name))
