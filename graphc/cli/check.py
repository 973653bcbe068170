"""`graphc check`: do two models compute the same function?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from graphc.cli.options import Dims, Format, FreezeInputs, LimitPairs, Params, integers, numbers, open_model
from graphc.cli.outcome import FINDINGS, guarded, show
from graphc.cli.progress import progress
from graphc.errors import GraphcError

if TYPE_CHECKING:
    import onnx_ir as ir

    from graphc.runtime.equivalence import Report
    from graphc.runtime.tolerance import Tolerance

Reference = Annotated[str, typer.Argument(metavar="A", help="The reference: a model or a spec.", show_default=False)]
Other = Annotated[str, typer.Argument(metavar="B", help="What is compared with it.", show_default=False)]
Seeds = Annotated[int, typer.Option("--seeds", help="How many sets of random inputs.")]
Seed = Annotated[int, typer.Option("--seed", help="Where the random numbers start.")]
Relative = Annotated[
    float | None, typer.Option("--rtol", help="Allow max|a − b| of this times max|a|.", show_default=False)
]
Absolute = Annotated[float | None, typer.Option("--atol", help="Allow max|a − b| of this.", show_default=False)]
Evaluator = Annotated[
    Literal["cpu", "cuda", "reference"],
    typer.Option("--provider", help="ONNX Runtime on the CPU or with CUDA, or the slow reference evaluator."),
]
ByCertificate = Annotated[
    bool,
    typer.Option("--certificate", help="Is B what its certificate says was made of A? On the reference evaluator."),
]
PerOutput = Annotated[
    list[str] | None,
    typer.Option("--tolerance", metavar="OUTPUT=R", help="--rtol for one output. Repeatable.", show_default=False),
]


@guarded
def check(
    a: Reference,
    b: Other,
    seeds: Seeds = 3,
    seed: Seed = 0,
    provider: Evaluator = "cpu",
    rtol: Relative = None,
    atol: Absolute = None,
    tolerance: PerOutput = None,
    certificate: ByCertificate = False,
    params: Params = None,
    dim: Dims = None,
    freeze_inputs: FreezeInputs = False,
    limit: LimitPairs = None,
    format: Format = "text",
) -> None:
    """Run two models on the same inputs and compare every output. Exit code 1 if one differs.

    Unless told otherwise, floats may differ by what another order of summation rounds differently, which
    is derived from A, and everything else must be equal.

    \b
    Examples:
      graphc check model.onnx optimised.onnx
      graphc check can.yaml@can24 can-can24.onnx --dim H=64 --dim W=64
      graphc check a.onnx b.onnx --rtol 1e-3 --tolerance mask=0
      graphc check edsr.yaml@x4 edsr-x4.onnx --certificate --set feats=32
    """
    overrides = {name: _tolerance(value, None) for name, value in numbers(tolerance, "--tolerance").items()}
    sizes = integers(dim, "--dim")
    allowed = None if rtol is None and atol is None else _tolerance(rtol, atol)
    from graphc.report.check import page
    from graphc.runtime import equivalence

    with progress() as say:
        say("reading the models")
        if certificate:
            first = _opened(a, freeze_inputs, limit, params, dim)
            report = _recheck(first, b, limit, say)
        else:
            first, second = _opened(a, freeze_inputs, limit, params), _opened(b, freeze_inputs, limit)
            say(f"running both on {provider}")
            report = equivalence.check(
                first,
                second,
                seeds=seeds,
                seed=seed,
                provider=provider,
                tolerance=allowed,
                tolerances=overrides,
                dims=sizes,
            )
    show(page(report), format)
    if not report.passed:
        raise typer.Exit(FINDINGS)


def _opened(
    source: str,
    freeze_inputs: bool,
    limit: list[str] | None,
    params: list[str] | None = None,
    dim: list[str] | None = None,
) -> ir.Model:
    """A model, its inputs frozen if so asked; a spec has none that could be."""
    from graphc.naming import is_model

    freeze = freeze_inputs and is_model(source)
    return open_model(source, params=params, dim=dim, freeze_inputs=freeze, limit=limit)


def _recheck(original: ir.Model, path: str, limit: list[str] | None, say: Callable[[str], None]) -> Report:
    from graphc.certificate import find_certificate, recheck

    model = _opened(path, False, limit)
    found = find_certificate(Path(path), model)
    say("running both on the reference evaluator")
    return recheck(found, original, model, {})


def _tolerance(relative: float | None, absolute: float | None) -> Tolerance:
    from graphc.runtime.tolerance import Tolerance

    for name, value in (("relative", relative), ("absolute", absolute)):
        if value is not None and not 0 <= value < float("inf"):
            raise GraphcError(f"a {name} tolerance is a number from 0 on, not {value}", code="run/usage")
    return Tolerance(relative=relative or 0.0, absolute=absolute or 0.0)
