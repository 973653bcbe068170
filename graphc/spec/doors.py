"""The doors to a spec: `expand` makes a network of a file, `build` a model with weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir

from graphc.errors import GraphcError, suggest
from graphc.limits import DEFAULT, Limits
from graphc.naming import require_source, split_variant
from graphc.spec.document import parse
from graphc.spec.expansion.assembly import Expansion
from graphc.spec.modules import COMMAND_LINE
from graphc.spec.network import Network
from graphc.spec.project import Project, root_of
from graphc.spec.tree import MappingNode, ScalarNode, Tree


def expand(
    source: str | Path,
    *,
    variant: str | None = None,
    params: Mapping[str, object] | None = None,
    dims: Mapping[str, int] | None = None,
    target: str | None = None,
    limits: Limits = DEFAULT,
    max_errors: int = 20,
) -> Network:
    """The network of a spec file, without weights: `expand("edsr.yaml@x4", params={"feats": 32})`.

    `params` overrides the spec's parameters; texts are read as YAML values. `dims` gives dimensions one size each.
    `target` names one of its targets. Raises one GraphcError that carries every independent error of the spec.
    """
    path = source
    if isinstance(source, str):
        path, named = split_variant(source)
        variant = variant if variant is not None else named
    require_source(path)
    project = Project(root_of(Path(path)), limits)
    tree, opened = project.open(Path(path))
    tree = _fixed(_narrowed(tree, target), dims or {})
    return Expansion(project, tree, opened, target, max_errors).network(variant, params or {})


def expand_text(
    text: str,
    file: str = "spec.yaml",
    *,
    root: Path | None = None,
    variant: str | None = None,
    params: Mapping[str, object] | None = None,
    dims: Mapping[str, int] | None = None,
    target: str | None = None,
    limits: Limits = DEFAULT,
    max_errors: int = 20,
) -> Network:
    """As `expand`, for the text of a spec that stands in the folder `root` (default: the current one)."""
    project = Project(root or Path(), limits)
    project.adopt(file, root or Path())
    tree = _fixed(_narrowed(project.extended(parse(text, file, limits), None), target), dims or {})
    return Expansion(project, tree, None, target, max_errors).network(variant, params or {})


def build(
    source: str | Path,
    *,
    variant: str | None = None,
    params: Mapping[str, object] | None = None,
    dims: Mapping[str, int] | None = None,
    target: str | None = None,
    seed: int | None = None,
    limits: Limits = DEFAULT,
) -> ir.Model:
    """The inference model of a spec file, with weights; arguments and errors as for `expand`.

    `seed` overrides the spec's seed for initialised weights.
    """
    network = expand(source, variant=variant, params=params, dims=dims, target=target, limits=limits)
    network.fill(seed=seed, limits=limits)
    return network.model()


# ---------------------------------------------------------------- dimensions given from outside


def _narrowed(tree: MappingNode, target: str | None) -> MappingNode:
    """The spec with the dims that a target narrows.

    Raises GraphcError: spec/unknown-target, spec/undeclared-dim.
    """
    if target is None:
        return tree
    targets = tree.get("targets")
    known = targets.entries if isinstance(targets, MappingNode) else {}
    if target not in known:
        raise GraphcError(
            f"unknown target '{target}'",
            code="spec/unknown-target",
            where=tree.keys.get("targets", tree.where),
            hint=suggest(target, known) or "this spec has no targets of its own",
        )
    chosen = known[target]
    shapes = chosen.get("shapes") if isinstance(chosen, MappingNode) else None
    if not isinstance(shapes, MappingNode):
        return tree
    return _with_dims(tree, shapes)


def _fixed(tree: MappingNode, sizes: Mapping[str, int]) -> MappingNode:
    """The spec with one size for each of these dims. Raises GraphcError (spec/undeclared-dim)."""
    given: dict[str, Tree] = {name: ScalarNode(size, COMMAND_LINE) for name, size in sizes.items()}
    return _with_dims(tree, MappingNode(given, COMMAND_LINE, dict.fromkeys(sizes, COMMAND_LINE)))


def _with_dims(tree: MappingNode, changed: MappingNode) -> MappingNode:
    """The spec with other dims. Raises GraphcError (spec/undeclared-dim, spec/bad-value for a size out of range)."""
    dims = tree.get("dims")
    declared = dims.entries if isinstance(dims, MappingNode) else {}
    for name in changed:
        if name not in declared:
            raise GraphcError(
                f"dimension '{name}' is not declared",
                code="spec/undeclared-dim",
                where=changed.keys.get(name, changed.where),
                hint=suggest(name, declared) or "this spec has no dims",
            )
        _check_range(name, declared[name], changed.entries[name])
    if not isinstance(dims, MappingNode):
        return tree
    merged = replace(dims, entries={**dims.entries, **changed.entries}, keys={**dims.keys, **changed.keys})
    return replace(tree, entries={**tree.entries, "dims": merged})


def _check_range(name: str, declared: Tree, size: Tree) -> None:
    if not (isinstance(declared, MappingNode) and isinstance(size, ScalarNode) and isinstance(size.value, int)):
        return
    bounds = {key: value.value for key, value in declared.entries.items() if isinstance(value, ScalarNode)}
    least, most, step = (bounds.get(key) for key in ("min", "max", "multiple_of"))
    low = isinstance(least, int) and size.value < least
    high = isinstance(most, int) and size.value > most
    if low or high or (isinstance(step, int) and size.value % step):
        allowed = ", ".join(f"{key}: {value}" for key, value in bounds.items() if key != "opt")
        raise GraphcError(
            f"{name} = {size.value} is not in the range of the dimension",
            code="spec/bad-value",
            where=size.where,
            hint=f"it is declared {{{allowed}}}",
        )
