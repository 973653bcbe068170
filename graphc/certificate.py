"""Certificates: what was done to a model, under which conditions, and how far the result is from the original.

A certificate lies beside the model (`net.certificate.json`) and in its metadata. It names both models by a digest of
what they compute, so that it cannot be held against others. `recheck` runs both again on the reference evaluator, which
shares no code with any rewrite nor with ONNX Runtime, within what the rewrites that fired declare today.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import onnx_ir as ir
from pydantic import BaseModel, ConfigDict, ValidationError

import graphc
from graphc import walk
from graphc.compilation import Compilation
from graphc.errors import GraphcError
from graphc.limits import DEFAULT, Limits
from graphc.metadata import CERTIFICATE
from graphc.pipeline import find_rewrite, rewrites
from graphc.rewriting import Rewrite
from graphc.runtime.equivalence import Report, check
from graphc.runtime.tolerance import derive
from graphc.spec.shipped import first_problem

SUFFIX = ".certificate.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Firing(_Part):
    """Where a rewrite fired: the node it replaced and the nodes it made; of another pass, that it changed something."""

    rewrite: str
    node: str = ""
    made: tuple[str, ...] = ()


class Law(_Part):
    """What a rewrite that fired declares: what it does, what it refuses (nothing of it was so there), its numerics."""

    what: str
    refuses: tuple[str, ...]
    numerics: str
    bound: float = 0.0


class Measured(_Part):
    """The largest error of one output: absolute, relative to its largest element, and the relative one allowed."""

    output: str
    max_abs: float
    max_rel: float
    allowed_rel: float


class Certificate(_Part):
    """What was done to a model; see the module's docstring.

    `source` is the file that was built, `original` and `model` are digests, `provider` is where the error was
    `measured`: nowhere for a build that was told not to verify.
    """

    graphc: str
    source: str
    original: str
    model: str
    passes: tuple[str, ...]
    laws: dict[str, Law]
    firings: tuple[Firing, ...]
    provider: str = ""
    measured: tuple[Measured, ...] = ()


def certify(made: Compilation, source: str) -> Certificate:
    """The certificate of a build; `source` is how its user named it. It also goes into the model's metadata."""
    firings = [
        Firing(rewrite=step.name, node=site.node, made=site.made) for step in made.record.steps for site in step.fired
    ]
    firings += [Firing(rewrite=step.name) for step in made.record.steps if step.modified and not step.is_rewrite]
    fired = dict.fromkeys(step.name for step in made.record.steps if step.is_rewrite and step.fired)
    report = made.report
    certificate = Certificate(
        graphc=graphc.__version__,
        source=Path(source).name,
        original=digest(made.original),
        model=digest(made.model),
        passes=tuple(step.name for step in made.record.steps),
        laws={name: _law(find_rewrite(name)) for name in fired},
        firings=tuple(firings),
        provider=report.provider if report is not None else "",
        measured=tuple(_measured(report)) if report is not None else (),
    )
    made.model.metadata_props[CERTIFICATE] = certificate.model_dump_json()
    return certificate


def _law(rewrite: Rewrite) -> Law:
    return Law(
        what=rewrite.doc.partition("\n")[0],
        refuses=tuple(condition.reason for condition in rewrite.conditions),
        numerics=rewrite.numerics,
        bound=rewrite.bound,
    )


def _measured(report: Report) -> Iterator[Measured]:
    for output in report.outputs:
        errors = output.max_abs, output.max_rel, output.allowed_rel
        yield Measured(output=output.name, max_abs=errors[0], max_rel=errors[1], allowed_rel=errors[2])


def beside(path: Path) -> Path:
    """`net.onnx` -> `net.certificate.json`."""
    return path.parent / f"{path.stem}{SUFFIX}"


def find_certificate(path: Path, model: ir.Model, limits: Limits = DEFAULT) -> Certificate:
    """The certificate of the model of that file: that beside it, else that in its metadata.

    Raises GraphcError: run/file-not-found where there is none, run/not-analysed for one that is no certificate,
    security/hash-mismatch where the two say different things.
    """
    inside, sidecar = model.metadata_props.get(CERTIFICATE), None
    if beside(path).is_file():
        with beside(path).open("rb") as file:
            sidecar = file.read(limits.spec_bytes + 1).decode("utf-8", "replace")
    text = inside if sidecar is None else sidecar
    if text is None:
        raise GraphcError(
            f"'{path}' has no certificate, neither beside it nor in its metadata",
            code="run/file-not-found",
            hint="graphc build writes one",
        )
    try:
        found = Certificate.model_validate_json(text[: limits.spec_bytes + 1])
        if inside is not None and found != Certificate.model_validate_json(inside[: limits.spec_bytes + 1]):
            raise GraphcError(
                f"the certificate beside '{path}' is not the one in its metadata",
                code="security/hash-mismatch",
                hint="build the model again",
            )
        return found
    except ValidationError as error:
        raise GraphcError(
            f"the certificate of '{path}' cannot be read: {' '.join(first_problem(error))}",
            code="run/not-analysed",
            hint="build the model again",
        ) from None


def recheck(certificate: Certificate, original: ir.Model, model: ir.Model, dims: Mapping[str, int]) -> Report:
    """Run both on the reference evaluator and compare them, as far as the rewrites of the certificate may move them.

    Raises GraphcError: security/hash-mismatch where a model is not the one that the certificate is of, and what
    `check` raises.
    """
    _require_places(certificate, original)
    strange = sorted({firing.rewrite for firing in certificate.firings} - set(certificate.passes))
    if strange:
        raise GraphcError(
            f"the certificate says that {strange[0]} fired, which is none of its passes",
            code="security/hash-mismatch",
            hint="build the model again",
        )
    for what, found, stated in (
        ("original", digest(original), certificate.original),
        ("model", digest(model), certificate.model),
    ):
        if found != stated:
            raise GraphcError(
                f"this is not the {what} that the certificate is of: its digest is {found[:12]}…, not {stated[:12]}…",
                code="security/hash-mismatch",
                hint="give the same source as to the build, with the same `params`, `dims` and `freeze_inputs`",
            )
    declared = [find_rewrite(each.rewrite) if _is_of_rewrite(each) else _Other() for each in certificate.firings]
    return check(original, model, seeds=1, provider="reference", tolerance=derive(original, declared, model), dims=dims)


def _require_places(certificate: Certificate, original: ir.Model) -> None:
    """Raises GraphcError (security/hash-mismatch) for a firing at a node that neither the original has nor one made."""
    there = Counter(node.name or "" for node in walk.nodes(original))
    for firing in certificate.firings:
        if not _is_of_rewrite(firing):
            continue
        if there[firing.node] < 1:
            raise GraphcError(
                f"the certificate says that {firing.rewrite} fired at '{firing.node}', where no node is",
                code="security/hash-mismatch",
                hint="build the model again",
            )
        there[firing.node] -= 1
        there.update(firing.made)


def _is_of_rewrite(firing: Firing) -> bool:
    """Whether a rewrite fired; at a node without a name it may have made none, like a pass that has no places."""
    return bool(firing.node or firing.made) or firing.rewrite in rewrites()


class _Other:
    """A pass that is no rewrite and declares nothing."""

    numerics, bound = "reassociates", 0.0


def digest(model: ir.Model) -> str:
    """SHA-256 of what a model computes: its nodes, types, names and weights; not its metadata and documentation."""
    hashed = hashlib.sha256()

    def put(*parts: object) -> None:
        hashed.update(repr(parts).encode())

    put(sorted(model.opset_imports.items()))
    for graph, _ in walk.graphs(model):
        put("graph", [(value.name, str(value.type), str(value.shape)) for value in (*graph.inputs, *graph.outputs)])
        for node in graph:
            put(node.domain, node.op_type, [value and value.name for value in node.inputs])
            put([value.name for value in node.outputs])
            for name, attribute in sorted(node.attributes.items()):
                put(name, attribute.ref_attr_name)
                if not attribute.is_ref() and attribute.type not in walk.GRAPHS:
                    hashed.update(ir.serde.serialize_attribute(attribute).SerializeToString(deterministic=True))
    for value in walk.initializers(model):
        if value.const_value is not None:
            put(value.name, str(value.const_value.dtype), str(value.const_value.shape))
            hashed.update(value.const_value.tobytes())
    return hashed.hexdigest()
