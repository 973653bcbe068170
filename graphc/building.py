"""From a spec or a model to an optimised, checked model: the one call behind `graphc build`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from graphc import spec
from graphc.analysis.binding import bind_only
from graphc.errors import GraphcError, suggest
from graphc.limits import DEFAULT, Limits
from graphc.model import load
from graphc.pipeline import Pipeline, Record
from graphc.runtime.equivalence import Report, check
from graphc.runtime.session import Provider, require_provider
from graphc.runtime.tolerance import derive

Progress = Callable[[str, ir.Model], None]


@dataclass(frozen=True)
class Compilation:
    """What a build made: the optimised `model`, the one it came from, what the passes did, and how far they are apart.

    `report` is None when the build was told not to verify.
    """

    model: ir.Model
    original: ir.Model
    record: Record
    report: Report | None


def compile(
    source: str | Path | ir.Model,
    *,
    params: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    pipeline: str | Sequence[Any] | None = None,
    target: str | None = None,
    provider: Provider = "cpu",
    verify: bool = True,
    seed: int | None = None,
    freeze_inputs: bool = False,
    limits: Limits = DEFAULT,
    before_step: Progress | None = None,
    after_step: Progress | None = None,
) -> Compilation:
    """Build a spec (`net.yaml`, `net.yaml@variant`) or take a model (`net.onnx`, an ir.Model), run passes, check.

    `pipeline` is a text or a list (see `Pipeline`); without one the spec's own `passes:` run, else "inference". `dims`
    gives symbolic dimensions one size each. `seed` replaces the seed of the spec's weights. `freeze_inputs` makes
    initializers that are also graph inputs constants. With `verify` both models run on ONNX Runtime (`provider` "cpu"
    or "cuda") and must agree within what the rewrites that fired declare. Raises GraphcError for broken input, a
    missing provider, or (numerics/output-mismatch) a check that fails.
    """
    if verify:
        require_provider(provider)  # before minutes of work, not after
    original, passes = _model(source, params, dims or {}, target, seed, freeze_inputs, limits)
    chosen = Pipeline(pipeline or passes or "inference", before_step=before_step, after_step=after_step)
    result = chosen(original.clone())
    if not verify:
        return Compilation(result.model, original, result.record, None)
    if before_step:
        before_step("check", result.model)
    report = check(original, result.model, provider=provider, tolerance=derive(original, result.record.steps))
    if not report.passed:
        worst = report.worst
        raise GraphcError(
            f"output '{worst.name}' of the optimised model differs from the original: {worst.reason}",
            code="numerics/output-mismatch",
            hint="find the pass with --dump-after-each DIR and report it; nothing was written",
        )
    return Compilation(result.model, original, result.record, report)


def _model(
    source: str | Path | ir.Model,
    params: Mapping[str, Any] | None,
    dims: Mapping[str, int],
    target: str | None,
    seed: int | None,
    freeze_inputs: bool,
    limits: Limits,
) -> tuple[ir.Model, Any]:
    """The model, and the passes that its spec asks for (None for a model)."""
    if isinstance(source, ir.Model):
        return _fixed(source, dims), None
    if Path(source).suffix != ".onnx":
        network = spec.expand(source, params=params, dims=dims, target=target, limits=limits)
        network.fill(seed=seed, limits=limits)
        return network.model(), network.spec.passes
    for name, given in (("--set", params), ("--target", target), ("--seed", seed)):
        if given:
            raise GraphcError(f"{name} is for specs, and {source} is a model", code="run/usage")
    return _fixed(load(source, freeze_inputs=freeze_inputs, limits=limits), dims), None


def _fixed(model: ir.Model, sizes: Mapping[str, int]) -> ir.Model:
    """The model with one size for each of these dimensions. Raises GraphcError (run/usage) for a name it lacks."""
    if not sizes:
        return model
    shapes = [value.shape for value in model.graph.inputs if value.shape is not None]
    names = {size.value for shape in shapes for size in shape if isinstance(size, ir.SymbolicDim) and size.value}
    for name in sizes:
        if name not in names:
            hint = suggest(name, names) or "all its dimensions are fixed"
            raise GraphcError(f"the model has no dimension '{name}'", code="run/usage", hint=hint)
    return bind_only(model, sizes)
