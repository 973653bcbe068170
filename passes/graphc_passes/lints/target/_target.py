"""What the lints of this category share: the target that the settings name, and where its nodes run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import onnx_ir as ir

from graphc import (
    Fix,
    GraphcError,
    Lack,
    NotAsked,
    Partition,
    Problem,
    Rewrite,
    Subject,
    Target,
    find_target,
    partition,
    providers,
)

CPU = "CPUExecutionProvider"


def provider(subject: Subject) -> str | None:
    """The provider of ONNX Runtime that is the target: that of `ort-...`, or of the spec's own target.

    Raises NotAsked where the settings name no target.
    """
    name = subject.settings.target
    if name is None:
        raise NotAsked
    own = subject.network.spec.targets.get(name) if subject.network is not None else None
    return own.ep if own is not None else providers().get(name)


def parted(subject: Subject) -> Partition | None:
    """Where the nodes run on that provider; None if it is no target, or not installed, as `provider-missing` says."""
    return subject.once(_parted)


def _parted(subject: Subject) -> Partition | None:
    name = provider(subject)
    if name is None:
        return None
    try:
        return partition(subject.model, name)
    except GraphcError as error:
        if error.code != "run/provider-missing":
            raise
        return None


def placed(subject: Subject) -> Partition:
    """Where the nodes run on the provider that is the target. Raises NotAsked where none is, or it is not installed."""
    found = parted(subject)
    if found is None:
        raise NotAsked
    return found


def file_target(subject: Subject) -> Target | None:
    """The target if it is one of graphc's own or of a YAML file; one that is not known, `spec/unknown-target` says."""
    if provider(subject) is not None:
        return None
    try:
        return find_target(subject.settings.target or "", subject.limits)
    except GraphcError as error:
        if error.code != "spec/unknown-target":
            raise
        return None


def lacking(subject: Subject, kind: str) -> list[tuple[ir.Node, Lack]]:
    """The nodes that no provider of ONNX Runtime runs for want of this: an "op", an "opset" or a "type"."""
    found = parted(subject)
    return [each for each in found.unsupported if each[1].kind == kind] if found is not None else []


def grouped(nodes: Iterable[tuple[ir.Node, str]]) -> Iterator[Problem]:
    """One problem for each message, at the first node that it is about."""
    groups: dict[str, list[ir.Node]] = {}
    for node, message in nodes:
        groups.setdefault(message, []).append(node)
    for message, those in groups.items():
        others = f" ({len(those)} nodes)" if len(those) > 1 else ""
        yield Problem(f"{message}{others}", at=those[0], measured=len(those))


def mended(problem: Problem, opsets: Mapping[str, int], *rewrites: Rewrite) -> Problem:
    """The problem with the first of these rewrites that would fire at its node as its fix, if one does."""
    for rewrite in rewrites:
        if isinstance(problem.at, ir.Node) and rewrite.would_fire(problem.at, opsets.get("", 1)):
            return replace(problem, fix=Fix(f"run {rewrite.name}", passes=(rewrite.name,)))
    return problem
