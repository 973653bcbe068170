"""What is not to be told: `# graphc: ignore[convolution/checkerboard] reason`, an item's `lint:`, globs of node names.

A comment beside something speaks of that line, one that stands alone of the next line that is no comment. A suppression
carries its reason, and one that suppresses nothing is a finding itself: it would hide the next defect.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

from graphc import walk
from graphc.errors import GraphcError, Where
from graphc.linting.finding import FAILED, Edit, Finding, Fix
from graphc.linting.lint import lints, selected
from graphc.linting.subject import Subject
from graphc.metadata import LINT

COMMENT = re.compile(r"(?:^|(?<=\s))#\s*graphc:\s*ignore\[(?P<names>[^\]]*)\](?P<reason>[^#]*)")
QUOTED = re.compile(r"""(?<![\w])(?:"(?:[^"\\]|\\.)*"|'(?:[^']|\'\')*')""")
MEANT = re.compile(r"(?:^|(?<=\s))#\s*graphc:\s*ignore\b")  # one that cannot be read
UNUSED, WITHOUT_REASON, UNKNOWN = "run/unused-suppression", "run/suppression-without-reason", "run/unknown-selector"
NEVER = frozenset({UNUSED, WITHOUT_REASON, UNKNOWN, FAILED})  # about suppressing itself, or about a fault


@dataclass
class Suppression:
    """Lints (names or categories) that are not told `about` some findings.

    `where` is the place of one that a spec makes: it is told of there when it is wrong. `edit` takes it away.
    """

    selectors: tuple[str, ...]
    reason: str
    about: Callable[[Finding], bool]
    where: Where | None = None
    edit: Edit | None = None
    used: set[str] = field(default_factory=set)

    def covers(self, finding: Finding) -> bool:
        """Whether it suppresses the finding; remembers by which selectors."""
        if finding.lint in NEVER or not self.about(finding):
            return False
        hit = {each for each in self.selectors if each in (finding.lint, finding.lint.partition("/")[0], "all")}
        self.used |= hit
        return bool(hit)


def suppressed(
    subjects: Sequence[Subject], findings: Sequence[Finding], names: Collection[str]
) -> tuple[list[Finding], list[Finding]]:
    """The findings in one file that nothing suppresses, then those about suppressions; and those that are suppressed.

    `subjects` are the variants of the file, any of which may need a suppression. `names` are the lints that looked: a
    suppression of another one is not unused for that.
    """
    known = list(_comments(subjects, findings))
    known += _of_items(subjects)
    known += _of_settings(subjects)
    covered = [[each for each in known if each.covers(finding)] for finding in findings]  # by all that do: each is used
    kept, quiet = list[Finding](), list[Finding]()
    for finding, by in zip(findings, covered, strict=True):
        (quiet if by else kept).append(finding)
    file = subjects[0].source
    told = [finding for each in known if each.where is not None for finding in _told(each, names, file)]
    return [*kept, *told], quiet


def _told(each: Suppression, names: Collection[str], file: str) -> Iterator[Finding]:
    """What is wrong with a suppression: names of no lint, nothing that it suppresses, no reason."""
    if not each.selectors and each.where is not None:
        help = "write # graphc: ignore[convolution/checkerboard] and why"
        yield from _finding(UNKNOWN, "a suppression that names no lint", each, names, file, help=help)
        return
    idle = []
    for selector in each.selectors:
        try:
            meant = {lint.name for lint in selected(selector)}
        except GraphcError as error:
            yield from _finding(UNKNOWN, error.message, each, names, file, help=error.hint)
            continue
        if selector not in each.used and meant <= set(names):
            idle.append(selector)
    shown = ", ".join(each.selectors)
    if idle:
        whole = each.edit is not None and len(idle) == len(each.selectors)
        fix = Fix("remove the suppression", edits=(each.edit,)) if whole and each.edit else None
        yield from _finding(UNUSED, f"{', '.join(idle)} finds nothing here", each, names, file, fix=fix)
    if not each.reason:
        yield from _finding(WITHOUT_REASON, f"the suppression of {shown} gives no reason", each, names, file)


def _finding(
    name: str,
    message: str,
    each: Suppression,
    names: Collection[str],
    file: str,
    help: str = "",
    fix: Fix | None = None,
) -> Iterator[Finding]:
    lint = lints().get(name)
    if lint is not None and name in names:
        content = each.where.text.strip() if each.where else ""
        yield Finding(
            name,
            lint.severity,
            message,
            help=help or lint.help,
            where=each.where,
            fix=fix,
            content=content,
            file=file,
        )


# ---------------------------------------------------------------- where they stand


def _comments(subjects: Sequence[Subject], findings: Sequence[Finding]) -> Iterator[Suppression]:
    """The comments in the spec, and in every other spec that a finding points into."""
    first = subjects[0]
    files = dict.fromkeys(finding.where.file for finding in findings if finding.where and finding.where.line)
    if first.path is not None and not first.is_model:
        files = {str(first.path): None, **files}
    for file in files:
        lines = first.lines(file)
        for index, text in enumerate(lines):
            written = QUOTED.sub(lambda quoted: "x" * len(quoted[0]), text)
            found = COMMENT.search(written)
            if found is None:
                if meant := MEANT.search(written):
                    yield Suppression((), "unreadable", _never, Where(file, index + 1, meant.start() + 1, text))
                continue
            alone = not text[: found.start()].strip()
            about = _next_line(lines, index) if alone else index
            start = 1 if alone else len(text[: found.start()].rstrip()) + 1
            end = len(text) + 1
            yield Suppression(
                tuple(name.strip() for name in found["names"].split(",") if name.strip()),
                found["reason"].strip(),
                _on_line(file, about + 1),
                Where(file, index + 1, found.start() + 1, text),
                Edit(file, index + 1, start, end, text[start - 1 : end - 1]),
            )


def _never(finding: Finding) -> bool:
    return False


def _on_line(file: str, line: int) -> Callable[[Finding], bool]:
    return lambda finding: finding.where is not None and (finding.where.file, finding.where.line) == (file, line)


def _next_line(lines: Sequence[str], index: int) -> int:
    """The next line that says something."""
    following = (n for n in range(index + 1, len(lines)) if lines[n].strip() and not lines[n].strip().startswith("#"))
    return next(following, index)


def _of_items(subjects: Sequence[Subject]) -> list[Suppression]:
    """What items of a spec say under `lint:`, which their nodes carry; one for all nodes of an item."""
    members: dict[tuple[str, str], set[str]] = {}
    places: dict[tuple[str, str], Where | None] = {}
    for subject in subjects:
        for node in walk.nodes(subject.model) if subject.network is not None else ():  # a model cannot vouch for itself
            text = node.metadata_props.get(LINT)
            if text is not None:
                key = text, node.doc_string or node.name or ""
                members.setdefault(key, set()).add(node.name or "")
                places.setdefault(key, subject.place(node))
    found = []
    for key, nodes in members.items():
        selectors, reason = _parsed(key[0])
        found.append(Suppression(selectors, reason, _at_one_of(nodes), places[key]))
    return found


def _at_one_of(nodes: Collection[str]) -> Callable[[Finding], bool]:
    return lambda finding: finding.node in nodes


def _parsed(text: str) -> tuple[tuple[str, ...], str]:
    """Selectors and reason in a node's metadata, which is untrusted: what cannot be read suppresses nothing."""
    try:
        found = json.loads(text)
        return tuple(str(name) for name in found["ignore"]), str(found.get("reason", ""))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return (), ""


def _of_settings(subjects: Sequence[Subject]) -> Iterator[Suppression]:
    """`per-node-ignores`: globs of node names; only those of the spec itself have a place, and can be unused there."""
    first = subjects[0]
    own = first.network.spec.lint.per_node_ignores if first.network is not None else {}
    for glob, names in first.settings.per_node_ignores.items():
        where = first.network.place("lint", "per-node-ignores", glob) if first.network and glob in own else None
        yield Suppression(tuple(names), "in the settings", _named(glob), where)


def _named(glob: str) -> Callable[[Finding], bool]:
    return lambda finding: bool(finding.node) and fnmatch.fnmatchcase(finding.node, glob)
