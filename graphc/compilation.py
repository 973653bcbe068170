"""From a spec or a model to an optimised, checked model: the one call behind `graphc build`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.limits import DEFAULT, Limits
from graphc.model import warn_of_lost
from graphc.naming import is_model
from graphc.pipeline import Pipeline, Record
from graphc.runtime.equivalence import Report, check
from graphc.runtime.session import Provider, require_provider
from graphc.runtime.tolerance import Tolerance, derive
from graphc.source import Passes, open_source
from graphc.target import Leftover, Target, find_target, is_target, with_reasons

DEFAULT_PASSES = "inference"
Progress = Callable[[str, ir.Model], None]


@dataclass(frozen=True)
class Compilation:
    """What a build made: the optimised `model`, the one it came from, what the passes did, and how far they are apart.

    `report` is None when the build was told not to verify. `target` is the one that the model was built for, if any,
    and `leftovers` are the nodes that it does not run.
    """

    model: ir.Model
    original: ir.Model
    record: Record
    report: Report | None
    target: Target | None = None
    leftovers: tuple[Leftover, ...] = ()


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

    `pipeline` is a text or a list (see `Pipeline`), an empty one for no passes; None stands for that of the target,
    else the spec's own `passes:`, else "inference". `target` is one that graphc ships (`graphc.target.targets`), the
    YAML file of one, or one of the spec's. `params`, `dims`, `seed` and `freeze_inputs` are those of `open_source`.
    With `verify` both models run on ONNX Runtime (`provider` "cpu" or "cuda") and must agree within what the rewrites
    that fired declare; where it refuses the original, that runs on the reference. Raises GraphcError for broken input,
    a missing provider, or (numerics/output-mismatch) models that do not agree. What the file says of training and no
    model for inference does is a warning.
    """
    if verify:
        require_provider(provider)  # before minutes of work, not after
    aim = find_target(target, limits) if target is not None and (is_target(target) or not _is_spec(source)) else None
    original, own = open_source(
        source,
        params=params,
        dims=dims,
        target=None if aim is not None else target,
        seed=seed,
        freeze_inputs=freeze_inputs,
        check_passes=pipeline is None,
        limits=limits,
    )
    warn_of_lost(original, "the model that is built")
    aimed = aim.pipeline if aim is not None else None
    passes = next(each for each in (pipeline, aimed, own, DEFAULT_PASSES) if each is not None)
    made = Pipeline(passes, target=aim, before_step=before_step, after_step=after_step)(original.clone())
    left = with_reasons(aim.leftovers(made.model), made.record.steps) if aim is not None else ()
    if not verify:
        return Compilation(made.model, original, made.record, None, aim, left)
    if before_step:
        before_step("check", made.model)
    report = _checked(original, made.model, provider, derive(original, made.record.steps, made.model))
    if not report.passed:
        worst = report.worst
        raise GraphcError(
            f"output '{worst.name}' of the optimised model differs from the original: {worst.reason}",
            code="numerics/output-mismatch",
            hint="find the pass with `after_step` and report it; nothing was written",
        )
    return Compilation(made.model, original, made.record, report, aim, left)


def _is_spec(source: str | Path | ir.Model) -> bool:
    """Whether this has targets of its own."""
    return not isinstance(source, ir.Model) and not is_model(source)


def _checked(original: ir.Model, made: ir.Model, provider: Provider, tolerance: Tolerance) -> Report:
    """Both on ONNX Runtime; the original on the reference where ONNX Runtime does not run it."""
    try:
        return check(original, made, provider=provider, tolerance=tolerance)
    except GraphcError as error:
        if error.code != "run/session-failed":
            raise
        try:
            return check(original, made, provider=provider, provider_of_a="reference", tolerance=tolerance)
        except GraphcError:
            raise error from None
