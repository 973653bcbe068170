"""Lets lints look at a subject, and makes findings of what they and the readers say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from graphc.errors import GraphcError, Where
from graphc.limits import DEFAULT, Limits
from graphc.linting.finding import FAILED, NOT_ANALYSED, Finding, Fix, Problem
from graphc.linting.identity import content_of, path_of
from graphc.linting.lint import Lint, LintCase, NotAsked, find_lint, lints, selected
from graphc.linting.messages import READING, Examined
from graphc.linting.settings import DEFAULTS, Layer, Settings, checked
from graphc.linting.subject import Subject, of_model, opened_with_variants
from graphc.linting.suppressions import suppressed
from graphc.view import Refusal


def findings(
    source: str | Path | ir.Model, *names: str, settings: Settings = DEFAULTS, limits: Limits = DEFAULT
) -> tuple[Finding, ...]:
    """What the named lints find in a model or a spec, or else those that the settings select.

    `settings` go before those of a spec, whose suppressions count. What the readers of a file say is found too, where
    other lints are named only if it keeps them from looking. This process does all of the work: for untrusted models
    see `graphc.linting.run`. Raises GraphcError as `find_lint`.
    """
    asked = frozenset(find_lint(name).name for name in names) or None
    layers = [Layer("the caller", settings)]
    if isinstance(source, ir.Model):
        steps = examined([of_model(source, layers, limits)], asked)
    else:
        steps = examine(str(source), layers, limits, asked=asked)
    return next(step for step in steps if isinstance(step, Examined)).findings


def examine(
    source: str,
    layers: Sequence[Layer] = (),
    limits: Limits = DEFAULT,
    skip: frozenset[str] = frozenset(),
    asked: frozenset[str] | None = None,
) -> Iterator[str | Finding | Examined]:
    """Lint one spec, with all its variants if none is named, or one model; lints to `skip` do not look.

    Yields the name of each lint before it looks, each finding when it is found, and at last what is told of the file.
    """
    yield READING
    yield from examined(opened_with_variants(source, layers, limits), asked, skip)


def examined(
    subjects: Sequence[Subject], asked: frozenset[str] | None = None, skip: frozenset[str] = frozenset()
) -> Iterator[str | Finding | Examined]:
    """As `examine`, for the variants of one file that are open already."""
    found: list[Finding] = []
    fatal: list[Finding] = []  # what keeps a variant from being looked at: neither weighed nor suppressed
    names: set[str] = set()
    for subject in subjects:
        looking = [each for each in chosen(subject.settings, asked) if each.name not in skip]
        looked = {each.name for each in looking}
        kept = found if subject.has_model else fatal
        said = {_key(finding) for finding in (*found, *fatal)}  # of an earlier variant
        yield READING
        steps = list(reading(subject, looking))
        for each in looking:
            if each.look is not None:
                yield each.name
                try:
                    for finding in look(subject, each, {other.name for other in looking}):
                        steps.append(finding)
                except NotAsked:
                    looked.discard(each.name)
        names |= looked
        fresh = [finding for finding in steps if _key(finding) not in said]
        if subject.has_model:
            fresh = list(ordered(subject, (under(each, subject.settings) for each in fresh)))
        kept += fresh
        yield from fresh
    told, quiet = suppressed(subjects, found, set() if fatal else names)  # unused only where everything was looked at
    yield Examined(tuple(merged(ordered(subjects[0], [*fatal, *told]))), tuple(quiet), frozenset(names))


def _key(finding: Finding) -> tuple[object, ...]:
    return finding.lint, finding.where, finding.node, finding.message


def merged(found: Iterable[Finding]) -> Iterator[Finding]:
    """Findings of one lint at one line of a spec as one: a line is repeated, and blocks are called several times."""
    groups: dict[object, list[Finding]] = {}
    for finding in found:
        alone = finding.where is None or not finding.where.line
        groups.setdefault(id(finding) if alone else (finding.lint, finding.where), []).append(finding)
    for first, *more in groups.values():
        count = f" (and {len(more)} more here)" if more else ""
        yield replace(first, message=f"{first.message}{count}")


def found_in(case: LintCase, folder: Path, *names: str) -> tuple[Finding, ...]:
    """What the lints find in a case, under its settings; where it is a file, that is written to `folder`."""
    source = case.model() if case.kind == "model" else case.write(folder)
    return findings(source, *names, settings=settings_of(case))


def settings_of(case: LintCase) -> Settings:
    """The settings under which a case is linted."""
    return checked({name.replace("_", "-"): value for name, value in case.settings.items()}, case.name)


def chosen(settings: Settings, asked: frozenset[str] | None = None) -> list[Lint]:
    """The lints asked for, or else those that the settings select less those they ignore and, unless the model is to
    `run`, less those that run it. What they select that is no lint is told by `reading`."""
    if asked is not None:
        return [lints()[name] for name in sorted(asked)]
    wanted = _meant((*settings.select, *settings.extend_select)) - _meant(settings.ignore)
    return [each for name, each in lints().items() if name in wanted and (settings.run or not each.runs)]


def _meant(selectors: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for selector in selectors:
        with suppress(GraphcError):  # `unknown` tells of it
            found |= {each.name for each in selected(selector)}
    return found


def unknown(selectors: Iterable[str]) -> Iterator[tuple[str, GraphcError]]:
    """The selectors that mean no lint, each with what is wrong with it."""
    for selector in selectors:
        try:
            selected(selector)
        except GraphcError as error:
            yield selector, error


def require_selectors(layers: Iterable[Layer]) -> None:
    """Raises GraphcError (run/unknown-selector) for the first that means no lint, with the layer that names it."""
    for layer in layers:
        settings = layer.settings
        given = [*settings.select, *settings.extend_select, *settings.ignore, *settings.severity]
        given += [each for names in settings.per_node_ignores.values() for each in names]
        for _, error in unknown(given):
            raise GraphcError(f"{layer.origin}: {error.message}", code=error.code, hint=error.hint)


def look(subject: Subject, lint: Lint, looking: Collection[str] = ()) -> Iterator[Finding]:
    """What one lint finds. Where it cannot finish, that is the finding, unless reading the subject said why, or one of
    the lints that are `looking` too is there to say it. Raises NotAsked, and nothing else."""
    if not lint.can_look(subject):
        return
    try:
        for problem in lint.problems(subject):
            yield _finding(subject, lint, problem)
    except NotAsked:
        raise
    except (Refusal, GraphcError) as unreadable:
        if not _is_said(subject, unreadable, looking):
            yield _finding(subject, lint, Problem(_told(unreadable), unfinished=True))
    except (MemoryError, RecursionError) as error:
        why = f"it needs more than this process may use ({type(error).__name__})"
        yield _finding(subject, lint, Problem(why, unfinished=True))
    except Exception as error:  # a lint is a plugin's code: what it raises besides is a fault, told as one
        message = f"{lint.name} of module {lint.module} raised {type(error).__name__}: {error}"
        yield Finding(FAILED, "error", message, help=lints()[FAILED].help, content=lint.name, file=subject.source)


def _is_said(subject: Subject, error: Exception, looking: Collection[str]) -> bool:
    """Whether reading the subject said it already, or a lint with a look of its own says it."""
    if not isinstance(error, GraphcError):
        return False
    lint = lints().get(error.code) if error.code in looking else None
    return (lint is not None and lint.look is not None) or any(error.code == each.code for each in subject.errors)


def _told(error: Exception) -> str:
    """What kept a look from finishing, in one line."""
    return error.message if isinstance(error, GraphcError) else str(error)


def reading(subject: Subject, asked: Iterable[Lint]) -> Iterator[Finding]:
    """What reading the subject said, of the lints asked for; all of it where reading could not go on from there."""
    names = {each.name for each in asked}
    known = lints()
    errors = [*subject.errors, *_unknown_selectors(subject, names)]
    for error in errors:
        lint = known.get(error.code)
        if lint is not None and lint.name not in names and subject.has_model:
            continue
        yield Finding(
            error.code,
            lint.severity if lint is not None and subject.has_model else "error",
            error.message,
            error.node,
            error.hint or (lint.help if lint is not None else ""),
            error.where or _placed(subject, error.node),
            notes=error.notes,
            content=error.where.text.strip() if error.where else error.message,
            file=subject.source,
        )


def _unknown_selectors(subject: Subject, names: set[str]) -> Iterator[GraphcError]:
    """What a spec selects, ignores or weighs that is no lint. Those of a config file and of flags are wrong usage."""
    if subject.network is None or "run/unknown-selector" not in names:
        return
    own = subject.network.spec.lint
    for section, selectors in (("select", own.select), ("ignore", own.ignore), ("severity", own.severity)):
        for selector, error in unknown(selectors):
            step: str | int = selector if isinstance(selectors, dict) else selectors.index(selector)
            where = subject.network.place("lint", section, step)
            yield GraphcError(error.message, code=error.code, where=where, hint=error.hint)


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
        where, node, content = subject.place(at), path_of(at), content_of(at)
    elif isinstance(at, ir.Value):
        where, node = subject.place(at.producer()), at.name or ""
        content = str(at.type)
    message, name, severity, help = problem.message, lint.name, problem.severity or lint.severity, problem.help
    fix = problem.fix or (Fix(f"run {', '.join(lint.fix)}", passes=lint.fix) if lint.fix else None)
    if problem.unfinished:
        known = lints().get(NOT_ANALYSED)
        message, name = f"{lint.name} could not be finished: {message}", NOT_ANALYSED
        severity, help = (known.severity, help or known.help) if known is not None else ("warning", help)
    return Finding(
        name,
        severity,
        message,
        node,
        help or lint.help,
        where,
        problem.measured,
        problem.limit,
        None if problem.unfinished else fix,
        tuple(problem.notes),
        content,
        subject.source,
    )


def _placed(subject: Subject, name: str) -> Where | None:
    """The place in a spec of the node of that name."""
    if not name or not subject.has_model:
        return None
    return subject.place(subject.named.get(name))
