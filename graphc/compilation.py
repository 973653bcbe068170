"""From a spec or a model to an optimised, checked model: the one call behind `graphc build`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.limits import DEFAULT, Limits
from graphc.pipeline import Pipeline, Record
from graphc.runtime.equivalence import Report, check
from graphc.runtime.session import Provider, require_provider
from graphc.runtime.tolerance import derive
from graphc.source import Passes, open_source

DEFAULT_PASSES = "inference"
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
    pipeline: Passes | None = None,
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

    `pipeline` is a text or a list (see `Pipeline`), an empty one for no passes; None stands for the spec's own
    `passes:`, else "inference". `params`, `dims`, `target`, `seed` and `freeze_inputs` are those of `open_source`.
    With `verify` both models run on ONNX Runtime (`provider` "cpu" or "cuda") and must agree within what the rewrites
    that fired declare. Raises GraphcError for broken input, a missing provider, or (numerics/output-mismatch) models
    that do not agree.
    """
    if verify:
        require_provider(provider)  # before minutes of work, not after
    original, own = open_source(
        source,
        params=params,
        dims=dims,
        target=target,
        seed=seed,
        freeze_inputs=freeze_inputs,
        check_passes=pipeline is None,
        limits=limits,
    )
    passes = next(each for each in (pipeline, own, DEFAULT_PASSES) if each is not None)
    result = Pipeline(passes, before_step=before_step, after_step=after_step)(original.clone())
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
            hint="find the pass with `after_step` and report it; nothing was written",
        )
    return Compilation(result.model, original, result.record, report)
