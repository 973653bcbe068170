"""A lint: what it looks at, what it says, and the cases that show what it means.

    @lint("ConvTranspose", category="convolution", severity="warning", help="make the kernel a multiple of the stride")
    def checkerboard(conv):                # a View of each such node
        if ...:
            return "3 taps at stride 2 overlap unevenly"

    @lint(category="graph", severity="warning", help="remove it")
    def dead_node(subject):                # the whole model, of a file or of a spec
        yield Problem("nothing reads what it makes", at=node)

    @lint(on="spec", category="spec", severity="warning", help="remove it")
    def unused_block(subject): ...         # the spec, where one can be expanded

    duplicate_key = reported("spec/duplicate-key", help="remove one of the two")     # said by what reads the file

A lint is named after the defect, as `category/defect`; the function's name is the defect and its file's stem. Where it
cannot finish it raises Refusal or GraphcError, and the finding is `run/not-analysed`, never silence; where the settings
do not ask for it, NotAsked. Its cases are
small inputs that it finds (`@checkerboard.bad`) and does not find (`@checkerboard.good`): functions of a CaseBuilder
that make a model, of nothing that return a spec's text, or of a folder in which they write the file that they return.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import onnx_ir as ir

from graphc import registry
from graphc.cases import Case, CaseBuilder
from graphc.errors import GraphcError, suggest
from graphc.linting.finding import SEVERITIES, Problem, Severity
from graphc.view import Refusal, View

if TYPE_CHECKING:
    from graphc.linting.subject import Subject

On = Literal["node", "model", "spec", "reader"]
Found = Problem | str | None
NodeLook = Callable[[View], Found]
SubjectLook = Callable[["Subject"], Iterable[Problem]]
Build = Callable[[CaseBuilder], Any] | Callable[[], str] | Callable[[Path], Path]


class NotAsked(Exception):  # noqa: N818 - an answer, not an error
    """What a look says that the settings do not ask for, or not for all of: a target, a device, a run.

    What was not looked for is not missed either: no suppression of it is unused, no entry of a baseline stale.
    """


@dataclass(frozen=True)
class LintCase:
    """An input that a lint finds, or does not. `settings` are those under which it is linted, as in a config file."""

    name: str
    build: Build = field(repr=False)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def kind(self) -> Literal["model", "spec", "file"]:
        """What `build` makes, by its parameter: `g` a model, none the text of a spec, `folder` a file in it."""
        names = list(inspect.signature(self.build).parameters)
        return "spec" if not names else "file" if names == ["folder"] else "model"

    def model(self) -> Any:
        """A fresh copy of the model of a case that makes one."""
        return Case(self.name, self._made).model()

    @property
    def text(self) -> str:
        """The text of a case that is a spec."""
        return inspect.cleandoc(self._made()) + "\n"

    def _made(self, *given: Any) -> Any:
        build: Callable[..., Any] = self.build
        return build(*given)

    def write(self, folder: Path) -> Path:
        """The case as a file in `folder`: what the command line would be given."""
        if self.kind == "file":
            return Path(self._made(folder))
        if self.kind == "spec":
            path = folder / "net.yaml"
            path.write_text(self.text, encoding="utf-8")
            return path
        from graphc.model import save

        path = folder / "net.onnx"
        save(self.model(), path)
        return path


@dataclass(frozen=True)
class Lint:
    """What one lint looks `on`, how bad what it finds is, and what helps.

    `roots` are the operators of one on nodes; `look` is None for one that is `reported` by what reads a file. One that
    `runs` the model is asked for with `run`. `fix` names passes that remove what it finds. `shown_by` names the test of
    one that no single file can show, which has no cases.
    """

    name: str
    on: On
    severity: Severity
    help: str
    module: str
    roots: tuple[str, ...] = ()
    look: Callable[..., Any] | None = None
    runs: bool = False
    fix: tuple[str, ...] = ()
    shown_by: str = ""
    bad_cases: list[LintCase] = field(default_factory=list, compare=False)
    good_cases: list[LintCase] = field(default_factory=list, compare=False)

    @property
    def category(self) -> str:
        """The part of the name before the `/`."""
        return self.name.partition("/")[0]

    def can_look(self, subject: Subject) -> bool:
        """Whether it looks at all, and there is what it looks at."""
        there = subject.network is not None if self.on == "spec" else subject.has_model
        return self.look is not None and there

    def problems(self, subject: Subject) -> Iterator[Problem]:
        """What it finds in a subject that it can look at. Raises Refusal, GraphcError where it cannot finish, NotAsked
        where the settings do not ask for it."""
        assert self.look is not None
        if self.on == "node":
            for node, opset in subject.nodes(*self.roots):
                yield from self._at(node, View(node, opset))
        else:
            yield from self.look(subject) or ()

    def _at(self, node: ir.Node, view: View) -> Iterator[Problem]:
        """What the look says of one node, be it only that it could not finish there."""
        assert self.look is not None
        try:
            found = self.look(view)
        except (Refusal, GraphcError) as unreadable:
            found = Problem(str(unreadable), unfinished=True)
        if found:
            problem = Problem(found) if isinstance(found, str) else found
            yield replace(problem, at=problem.at or node)

    @property
    def doc(self) -> str:
        """The docstring of the lint's module: what, why."""
        return inspect.cleandoc(sys.modules[self.module].__doc__ or "")

    @overload
    def bad(self, build: Build, /) -> Build: ...
    @overload
    def bad(self, /, **settings: Any) -> Callable[[Build], Build]: ...
    def bad(self, build: Build | None = None, /, **settings: Any) -> Any:
        """Decorator: an input that the lint finds, and no other lint. The function's name is the case's name."""
        return self._kept(self.bad_cases, build, settings)

    @overload
    def good(self, build: Build, /) -> Build: ...
    @overload
    def good(self, /, **settings: Any) -> Callable[[Build], Build]: ...
    def good(self, build: Build | None = None, /, **settings: Any) -> Any:
        """Decorator: an input that no lint has anything to say about."""
        return self._kept(self.good_cases, build, settings)

    def _kept(self, cases: list[LintCase], build: Build | None, settings: Mapping[str, Any]) -> Any:
        def keep(build: Build) -> Build:
            cases.append(LintCase(build.__name__.replace("_", " "), build, settings))
            return build

        return keep if build is None else keep(build)


def lint(
    *roots: str,
    category: str,
    severity: Severity,
    help: str,
    on: Literal["model", "spec"] = "model",
    runs: bool = False,
    fix: str | tuple[str, ...] = (),
    shown_by: str = "",
) -> Callable[[NodeLook | SubjectLook], Lint]:
    """Declare a lint of these operators, or of whole models or specs. `help` says what to do about a finding.

    With operators the function takes a View and returns what is wrong with that node, None if nothing is. Without, it
    takes a Subject and yields Problems; `on` says whether it needs a model (of a file or of a spec) or a spec. `fix`
    names passes whose run removes what it finds. A look that `runs` the model is only made when asked for. `shown_by`
    is the test of one that no single file can show.
    """
    _require_severity(severity)

    def declare(look: NodeLook | SubjectLook) -> Lint:
        return Lint(
            f"{category}/{registry.kebab(look.__name__)}",
            "node" if roots else on,
            severity,
            help,
            look.__module__,
            roots,
            look,
            runs,
            (fix,) if isinstance(fix, str) else fix,
            shown_by,
        )

    return declare


def reported(name: str, *, help: str, severity: Severity = "error", shown_by: str = "") -> Lint:
    """Declare a lint that what reads, expands or runs a file reports: a GraphcError of that code is its finding.

    `shown_by` names the test of one that no single file can show.
    """
    _require_severity(severity)
    caller: str = sys._getframe(1).f_globals["__name__"]  # the module that declares it
    return Lint(name, "reader", severity, help, caller, shown_by=shown_by)


def _require_severity(severity: str) -> None:
    if severity not in SEVERITIES:
        raise ValueError(f"severity is one of {SEVERITIES}")


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


def selected(selector: str) -> list[Lint]:
    """The lints that a selector means: `all`, a category or a name. Raises GraphcError (run/unknown-selector)."""
    if selector == "all":
        return list(lints().values())
    found = [each for each in lints().values() if each.category == selector]
    if found or "/" in selector:
        return found or [find_lint(selector)]
    known = ["all", *{each.category for each in lints().values()}, *lints()]
    raise GraphcError(f"unknown lint '{selector}'", code="run/unknown-selector", hint=suggest(selector, known))


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
