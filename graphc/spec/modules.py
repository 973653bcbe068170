"""Turns one spec file into a module: parameters bound, sections evaluated and checked, imports loaded.

What is wrong in one section does not hide what is wrong in another: a section that fails is left out and its
names are marked, so that what depends on them is not reported as well. Names are bound in this order: params,
dims, let.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from graphc.errors import GraphcError, Note, Where, suggest
from graphc.spec.diagnose import Path, check, located, shown
from graphc.spec.document import parse
from graphc.spec.language import VERSION, Import, Spec
from graphc.spec.problems import Problems
from graphc.spec.project import Opened, Project, check_sha256
from graphc.spec.scope import POISON, DynamicDim, Frame, Functions, Poisoned, value_of
from graphc.spec.tree import MappingNode, ScalarNode, Tree, plain

COMMAND_LINE = Where("<command line>")
EVALUATED = ("imports", "weights", "train", "targets", "passes", "lint")  # sections with =expressions
BODIES = (("train", "nodes"), ("train", "losses"))  # evaluated when they are expanded
NAMES = ("params", "dims", "let")  # what everything else computes with

Report = Callable[[GraphcError], None]


@dataclass(frozen=True)
class Given:
    """A parameter's value from outside the `params` section, and where it was given."""

    value: object
    where: Where


@dataclass
class Module:
    """One spec that can be expanded. `path` is what its weights are named under if another imports it."""

    spec: Spec
    tree: MappingNode
    variables: Mapping[str, object]
    path: str = ""
    declared: Import | None = None
    imports: dict[str, Module] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # blocks and imports that were refused

    def place(self, *path: str | int) -> Where:
        """Where the value that these keys lead to is written."""
        return located(self.tree, path)

    def section(self, *keys: str) -> Tree | None:
        """The tree that these keys lead to."""
        tree: Tree | None = self.tree
        for key in keys:
            tree = tree.get(key) if isinstance(tree, MappingNode) else None
        return tree


class Loader:
    """Loads a module, and the modules that it imports; what is wrong goes to `problems`."""

    def __init__(self, project: Project, problems: Problems) -> None:
        self.project, self.problems = project, problems

    def load(
        self,
        tree: MappingNode,
        opened: Opened | None,
        *,
        variant: str | None = None,
        overrides: Mapping[str, Given] | None = None,
        path: str = "",
        declared: Import | None = None,
        notes: Sequence[Note] = (),
    ) -> Module | None:
        """The module, or None if too much of it is wrong to go on."""

        def report(error: GraphcError) -> None:
            self.problems.add(error, notes)

        values: dict[str, Any] = {}
        frame = Frame({})
        try:
            _check_version(tree)
            _check_variants(tree, report)
            given = {**_variant(tree, variant), **_overrides(tree, overrides or {}, report)}
        except GraphcError as error:
            report(error)
            return None
        _bind_params(tree.get("params"), given, frame, report)
        _dims(tree.get("dims"), values, frame, report)
        bind(tree.get("let"), {}, frame, {}, report)
        _sections(tree, values, frame, report)
        spec, refused = _validated(tree, values, report)
        if spec is None:
            return None
        module = Module(spec, tree, frame.variables, path, declared, {}, refused)
        for name, imported in spec.imports.items():
            found = self._import(module, name, imported, opened, notes)
            if found is None:
                module.broken.add(name)
            else:
                module.imports[name] = found
        return module

    def _import(
        self, module: Module, name: str, declared: Import, opened: Opened | None, notes: Sequence[Note]
    ) -> Module | None:
        where = module.place("imports", name, "spec")
        steps = (Note(f"in import '{name}'", where), *notes)
        try:
            path, variant = self.project.resolve(declared.spec, where)
            tree, here = self.project.open(path, opened, where)
            if declared.sha256:
                check_sha256(path, declared.sha256, module.place("imports", name, "sha256"))
        except GraphcError as error:
            self.problems.add(error, notes if error.where == where else steps)
            return None
        given = {
            key: Given(value, module.place("imports", name, "params", key)) for key, value in declared.params.items()
        }
        below = f"{module.path}/{name}" if module.path else name
        return self.load(tree, here, variant=variant, overrides=given, path=below, declared=declared, notes=steps)


def _check_version(tree: MappingNode) -> None:
    version = tree.get("graphc")
    if isinstance(version, ScalarNode) and isinstance(version.value, int) and version.value > VERSION:
        raise GraphcError(
            f"the spec is in version {version.value} of the language, this graphc reads version {VERSION}",
            code="spec/unsupported-version",
            where=version.where,
            hint="upgrade graphc",
        )


# ---------------------------------------------------------------- parameters


def _variant(tree: MappingNode, variant: str | None) -> dict[str, Given]:
    """The parameters that a variant sets."""
    if variant is None:
        return {}
    variants = tree.get("variants")
    known = variants.entries if isinstance(variants, MappingNode) else {}
    chosen = known.get(variant)
    if chosen is None:
        raise GraphcError(
            f"unknown variant '{variant}'",
            code="spec/unknown-variant",
            where=tree.keys.get("variants", tree.where),
            hint=suggest(variant, known) or "this spec has no variants",
        )
    if not isinstance(chosen, MappingNode):
        return {}
    return {name: Given(plain(value), value.where) for name, value in chosen.entries.items()}


def _check_variants(tree: MappingNode, report: Report) -> None:
    """Report what variants set that is no parameter."""
    params, variants = tree.get("params"), tree.get("variants")
    known = params.entries if isinstance(params, MappingNode) else {}
    for chosen in variants.entries.values() if isinstance(variants, MappingNode) else ():
        for name, place in chosen.keys.items() if isinstance(chosen, MappingNode) else ():
            if name not in known:
                report(_unknown_parameter(name, known, place))


def _unknown_parameter(name: str, known: Mapping[str, Tree], where: Where) -> GraphcError:
    return GraphcError(
        f"unknown parameter '{name}'",
        code="spec/unknown-override",
        where=where,
        hint=suggest(name, known) or "this spec has no params",
    )


def parsed_overrides(texts: Mapping[str, object]) -> dict[str, Given]:
    """`--set k=v`: a text is read as a YAML value, anything else is taken as it is."""
    return {name: Given(_parsed(name, value), COMMAND_LINE) for name, value in texts.items()}


def _parsed(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        tree = parse(f"value: {value}", str(COMMAND_LINE)).get("value")
    except GraphcError as error:
        raise GraphcError(
            f"'{name}={value}' is no YAML value: {error.message}", code=error.code, where=COMMAND_LINE
        ) from None
    return None if tree is None else plain(tree)


def _overrides(tree: MappingNode, given: Mapping[str, Given], report: Report) -> dict[str, Given]:
    """Those of the given parameters that the spec has; the others are reported."""
    params, let = tree.get("params"), tree.get("let")
    known = params.entries if isinstance(params, MappingNode) else {}
    for name, value in given.items():
        if name in known:
            continue
        error = _unknown_parameter(name, known, value.where)
        if isinstance(let, MappingNode) and name in let.entries:
            error.hint = "it is derived in 'let', so it cannot be set"
        report(error)
    return {name: value for name, value in given.items() if name in known}


def _bind_params(tree: Tree | None, given: Mapping[str, Given], frame: Frame, report: Report) -> None:
    if not isinstance(tree, MappingNode):
        return
    values: dict[str, object] = {}
    for name, default in tree.entries.items():
        if name not in given:
            continue
        if _same_kind(plain(default), given[name].value):
            values[name] = given[name].value
            continue
        report(
            GraphcError(
                f"'{name}' must be like {shown(plain(default))}, not {shown(given[name].value)}",
                code="spec/bad-type",
                where=given[name].where,
            )
        )
    for name in bind(tree, values, frame, {}, report):
        report(
            GraphcError(
                f"parameter '{name}' has no value",
                code="spec/missing-argument",
                where=tree.keys.get(name, tree.where),
                hint=f"give it one: --set {name}=..., a variant, or 'params' of an import",
            )
        )


def _same_kind(default: object, value: object) -> bool:
    if default is None or value is None or (isinstance(default, str) and default.startswith("=")):
        return True
    return _kind(default) == _kind(value)


def _kind(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return type(value).__name__
    return "number"


def bind(
    declared: Tree | None, given: Mapping[str, object], frame: Frame, functions: Functions, report: Report
) -> list[str]:
    """Bind names in order to what is given, or else to their defaults, which may use the names before them.

    Returns the names that have no value; they are bound to POISON, as are those whose default fails.
    """
    missing = []
    entries = declared.entries if isinstance(declared, MappingNode) else {}
    for name, tree in entries.items():
        if name in given:
            frame.variables[name] = given[name]
            continue
        frame.variables[name] = value = evaluated(tree, frame, functions, report)
        if value is None and isinstance(tree, ScalarNode) and tree.value is None:
            missing.append(name)
            frame.variables[name] = POISON
    return missing


def evaluated(tree: Tree, frame: Frame, functions: Functions, report: Report) -> object:
    """The value of a tree, or POISON when an expression in it fails, which is reported."""
    try:
        return value_of(tree, frame, functions)
    except GraphcError as error:
        report(error)
    except Poisoned:
        pass
    return POISON


# ---------------------------------------------------------------- sections


def _dims(tree: Tree | None, values: dict[str, Any], frame: Frame, report: Report) -> None:
    """Evaluate the dims and bind their names: to a size, or to a range that cannot be computed with."""
    if not isinstance(tree, MappingNode):
        return
    values["dims"] = {name: evaluated(dim, frame, {}, report) for name, dim in tree.entries.items()}
    for name, value in values["dims"].items():
        frame.variables[name] = value if isinstance(value, int) or value is POISON else DynamicDim(name)


def _sections(tree: MappingNode, values: dict[str, Any], frame: Frame, report: Report) -> None:
    """Put every other section's plain data into `values`; what fails to evaluate is POISON."""
    for key, section in tree.entries.items():
        if key in values or (isinstance(section, ScalarNode) and section.value is None):
            continue
        if key not in EVALUATED:
            values[key] = plain(section)
        elif isinstance(section, MappingNode):
            values[key] = {
                name: plain(part) if (key, name) in BODIES else evaluated(part, frame, {}, report)
                for name, part in section.entries.items()
            }
        else:
            values[key] = evaluated(section, frame, {}, report)


def _validated(tree: MappingNode, values: dict[str, Any], report: Report) -> tuple[Spec | None, set[str]]:
    """The checked spec without what is wrong in it, and the names of the blocks and imports left out."""
    failed = _failed(values)
    refused = {name for path in failed for name in _drop(values, path)}
    spec, findings = check(Spec, values, tree)
    findings = [finding for finding in findings if not finding.path or finding.path not in failed]
    for finding in findings:
        report(finding.error)
    needed = {None, *NAMES, *(name for name, field in Spec.model_fields.items() if field.is_required())}
    if any((path[0] if path else None) in needed for path in (*failed, *(f.path for f in findings))):
        return None, refused
    for depth in (2, 1):  # first without the entries that are wrong, then without their sections
        for finding in findings:
            refused |= _drop(values, finding.path[:depth])
        spec, findings = (spec, []) if spec else check(Spec, values, tree)
    return spec, refused


def _failed(values: dict[str, Any]) -> list[Path]:
    """The sections, and the entries of sections, that did not evaluate."""
    found: list[Path] = [(key,) for key, section in values.items() if section is POISON]
    for key, section in values.items():
        if isinstance(section, dict):
            found += [(key, name) for name, value in section.items() if value is POISON]
    return found


def _drop(values: dict[str, Any], path: Path) -> set[str]:
    """Leave out the section or its entry at `path`; returns the names of blocks and imports lost by that."""
    section = values.get(str(path[0]))
    if len(path) > 1 and isinstance(section, dict):
        lost = {str(path[1])} if section.pop(path[1], None) is not None else set()
    else:
        values.pop(str(path[0]), None)
        lost = set(section) if isinstance(section, dict) else set()
    return lost if path[0] in ("blocks", "imports") else set()
