"""Do two models compute the same function? Both run on the same seeded inputs, and every output is measured.

How far they may differ is derived from what was done to the model (`tolerance.py`), never picked. The condition κ of
the first model is measured only where they differ by more than κ = 1 allows: what is within that needs no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir

from graphc.errors import GraphcError, suggest
from graphc.model import load
from graphc.runtime.condition import Nudging
from graphc.runtime.difference import Difference, measure, measure_steps, ratio
from graphc.runtime.feeds import Feeds, distribution, make_feeds, perturbed
from graphc.runtime.reference import Reference
from graphc.runtime.session import Provider, Session, session
from graphc.runtime.sizes import bindings, required
from graphc.runtime.tolerance import EXACT, Tolerance, rounding
from graphc.view import shapes_agree

Arrays = Mapping[str, np.ndarray]
Evaluator = Provider | Literal["reference"]
WEAK = 1e-3  # where a mistake of a thousandth could pass, the check says so


@dataclass(frozen=True)
class Report:
    """The result of a check: one Difference per output, what was fed, and what could weaken the verdict."""

    outputs: tuple[Difference, ...]
    feeds: tuple[str, ...]
    dims: Mapping[str, int]
    provider: str
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every output passed."""
        return _all_passed(self.outputs)

    @property
    def worst(self) -> Difference:
        """The output that uses most of its tolerance, failed ones first."""
        return max(self.outputs, key=lambda output: (not output.passed, output.used))

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`; a number that JSON cannot hold (inf, nan) is None."""
        outputs = [
            {key: _json(value) for key, value in asdict(output).items()} | {"passed": output.passed}
            for output in self.outputs
        ]
        return {
            "passed": self.passed,
            "provider": self.provider,
            "feeds": list(self.feeds),
            "dims": dict(self.dims),
            "warnings": list(self.warnings),
            "outputs": outputs,
        }


def check(
    a: ir.Model | Path | str,
    b: ir.Model | Path | str,
    *,
    seeds: int = 3,
    seed: int = 0,
    provider: Evaluator = "cpu",
    provider_of_a: Evaluator | None = None,
    tolerance: Tolerance | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    dims: Mapping[str, int] | None = None,
    inputs: Feeds | None = None,
    threads: int | None = None,
) -> Report:
    """Run `a` (the reference) and `b` on the same inputs and compare every output.

    Args:
        a, b: models, or files of models, with the same interface. Inputs that are also initializers may be
            missing in one; those that both have are fed other values once more, so that folding one shows.
        seeds: how many sets of random inputs, each of another distribution (`feeds.DISTRIBUTIONS`).
        seed: where the random numbers start.
        provider: where both models run: "cpu" or "cuda" of ONNX Runtime, or "reference", which is slow: onnx.reference,
            mended where it is wrong.
        provider_of_a: where `a` runs instead, such as "reference" for a model that ONNX Runtime refuses. As the two
            round in their own ways, rounding is allowed then, whatever `tolerance` says.
        tolerance: what floating outputs are allowed, e.g. `tolerance.derive(a, rewrites that fired)`; by default
            `tolerance.rounding(a, b)`: any other order of summation. Integers and bools must be equal, but for those
            that rounding tips over (`difference.measure_steps`).
        tolerances: overrides for single outputs, by name, of any type.
        dims: sizes of symbolic dimensions, see `feeds`.
        inputs: arrays to feed instead of random ones, by name.
        threads: of ONNX Runtime, by default one for each core.

    Raises GraphcError: run/interface-differs (which input or output), run/usage, run/not-analysed,
    run/session-failed, run/provider-missing, and what `graphc.load` raises for a file.
    """
    if a is b and isinstance(a, ir.Model):
        raise GraphcError(
            "a and b are one object, so nothing would be compared",
            code="run/usage",
            hint="passes work in place: give them a clone() and keep the model",
        )
    first = a if isinstance(a, ir.Model) else load(a)
    second = b if isinstance(b, ir.Model) else load(b)
    require_same_interface(first, second)
    _require_tensors(first)
    given, overrides = inputs or {}, tolerances or {}
    _require_known(first, seeds, seed, given, overrides)
    allowed, where = tolerance if tolerance is not None else rounding(first, second), provider_of_a or provider
    if where != provider:
        allowed = replace(allowed, rounding=max(allowed.rounding, rounding(first, second).rounding))
    sizes = bindings(first, dims or {})
    feeds = dict(_all_feeds(first, second, seeds, seed, sizes, given))
    with _opened(first, where, threads) as run_a, _opened(second, provider, threads) as run_b:
        runs = [_run(run_a, run_b, feed) for feed in feeds.values()]
        outputs = _outputs(runs, overrides, allowed)
        if not _all_passed(outputs):
            _require_repeatable(run_a, next(iter(feeds.values())), runs[0].a)
    if allowed.rounding and not _all_passed(outputs):
        outputs = _outputs(_moved(runs, Nudging(first), where, threads), overrides, allowed)
    warnings = [*_weaknesses(outputs, [run.a for run in runs])]
    if where != provider:
        warnings.append(f"the first model ran on the {where} evaluator: it does not run on {provider}")
    return Report(outputs, tuple(feeds), sizes, provider, tuple(warnings))


def _opened(model: ir.Model, evaluator: Evaluator, threads: int | None) -> Session | Reference:
    return Reference(model) if evaluator == "reference" else session(model, provider=evaluator, threads=threads)


def _all_passed(outputs: Iterable[Difference]) -> bool:
    return all(output.passed for output in outputs)


@dataclass(frozen=True)
class _Run:
    """The outputs of both models for one `feed`, and the first one's after each nudge `by`, where κ is asked for."""

    feed: Feeds
    a: Arrays
    b: Arrays
    moved: Sequence[Arrays] = ()
    by: float = 0.0


def _require_repeatable(session: Session | Reference, feed: Feeds, before: Arrays) -> None:
    """Raises GraphcError (run/not-analysed) for a model that differs from itself."""
    again = session.run(feed)
    for name, array in before.items():
        if not np.array_equal(array, again[name], equal_nan=array.dtype.kind == "f"):
            raise GraphcError(
                f"output '{name}' of the first model is another one each time, for the same inputs",
                code="run/not-analysed",
                hint="something in it is random: a Dropout in training mode, RandomNormal, Multinomial, ...",
            )


def _run(run_a: Session | Reference, run_b: Session | Reference, feed: Feeds) -> _Run:
    try:
        expected = run_a.run(feed)
    except GraphcError as error:
        raise GraphcError(
            f"the first model does not run on the inputs that it was given: {error.message}",
            code=error.code,
            hint="give inputs that it accepts (`inputs`), or go without the check (`verify`)",
        ) from error
    return _Run(feed, expected, run_b.run(feed))


def _moved(runs: Sequence[_Run], nudging: Nudging, evaluator: Evaluator, threads: int | None) -> Sequence[_Run]:
    """The runs with what the first model computes nudged; as they are (κ = 1) where it does not run with nudges."""
    try:
        with _opened(nudging.model, evaluator, threads) as nudged:
            moved = [tuple(nudged.run(feed) for feed in nudging.feeds(run.feed)) for run in runs]
    except GraphcError:
        return runs
    return [replace(run, moved=draws, by=nudging.by) for run, draws in zip(runs, moved, strict=True)]


def _condition(y: np.ndarray, moved: Sequence[np.ndarray], by: float) -> float:
    """κ: the change of an output (in its largest element) over its size and the nudge; over draws the rms."""
    if not by or y.dtype.kind != "f" or any(y.shape != z.shape for z in moved):
        return 1.0
    changes = [_change(y, z) for z in moved]
    return math.sqrt(math.fsum(change * change for change in changes) / len(changes)) / by


def _change(y: np.ndarray, moved: np.ndarray) -> float:
    finite = np.isfinite(y) & np.isfinite(moved)
    x, z = y[finite].astype(np.float64), moved[finite].astype(np.float64)
    return ratio(float(np.abs(x - z).max(initial=0.0)), float(np.abs(x).max(initial=0.0)))


def _outputs(runs: Sequence[_Run], overrides: Mapping[str, Tolerance], default: Tolerance) -> tuple[Difference, ...]:
    return tuple(_compare(name, runs, overrides.get(name), default) for name in runs[0].a)


def _compare(name: str, runs: Sequence[_Run], override: Tolerance | None, default: Tolerance) -> Difference:
    return reduce(Difference.worse, (_difference(name, run, override, default) for run in runs))


def _difference(name: str, run: _Run, override: Tolerance | None, default: Tolerance) -> Difference:
    a, b, moved = run.a[name], run.b[name], [draw[name] for draw in run.moved]
    if override is None and a.dtype.kind in "iub":
        return measure_steps(name, a, b, moved[0] if moved else a, run.by, default)
    tolerance = override if override is not None else (default if a.dtype.kind == "f" else EXACT)
    return measure(name, a, b, tolerance, _condition(a, moved, run.by))


# ---------------------------------------------------------------- what is fed, what is refused


def _all_feeds(
    a: ir.Model, b: ir.Model, seeds: int, seed: int, sizes: Mapping[str, int], given: Feeds
) -> Iterator[tuple[str, Feeds]]:
    """Labelled feeds: one per seed, and one more that overrides initializers that are inputs of both."""
    random = any(value.name not in given for value in required(a.graph))
    for index in range(seeds if random else 1):
        yield (
            f"{index}: {distribution(index)}" if random else "given",
            make_feeds(a, seed, index, sizes, given),
        )
    both = {value.name for value in b.graph.inputs}
    changed = {name: array for name, array in perturbed(a, seed).items() if name in both}
    if changed:
        yield "initializers overridden", {**make_feeds(a, seed, 0, sizes, given), **changed}


def _require_known(model: ir.Model, seeds: int, seed: int, inputs: Feeds, tolerances: Mapping[str, Tolerance]) -> None:
    """Refuse names that the model does not have, and a check that would run nothing."""
    if seeds < 1:
        raise GraphcError("a check needs at least one seed", code="run/usage")
    if seed < 0:
        raise GraphcError(f"a seed is 0 or more, not {seed}", code="run/usage")
    for kind, asked, values in (
        ("input", inputs, model.graph.inputs),
        ("output", tolerances, model.graph.outputs),
    ):
        names = [str(value.name) for value in values]
        for name in asked:
            if name not in names:
                raise GraphcError(f"the model has no {kind} '{name}'", code="run/usage", hint=suggest(name, names))


def _require_tensors(model: ir.Model) -> None:
    for value in model.graph.outputs:
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            raise GraphcError(
                f"output '{value.name}' is no tensor but {value.type}",
                code="run/not-analysed",
                hint="compare models whose outputs are tensors",
            )


def require_same_interface(a: ir.Model, b: ir.Model) -> None:
    """Raises GraphcError (run/interface-differs) that names each input or output in which a and b differ.

    Names, types and ranks must agree, and sizes where both are numbers: a symbolic size agrees with any.
    """
    found = [
        *_differences("input", required(a.graph), required(b.graph)),
        *_differences("output", a.graph.outputs, b.graph.outputs),
    ]
    if found:
        raise GraphcError(
            f"the models have different interfaces: {'; '.join(found)}",
            code="run/interface-differs",
            hint="compare two forms of one network, with the same input and output names",
        )


def _differences(kind: str, a: Iterable[ir.Value], b: Iterable[ir.Value]) -> Iterator[str]:
    first, second = {str(v.name): v for v in a}, {str(v.name): v for v in b}
    for name in first.keys() - second.keys():
        yield f"{kind} '{name}' is missing in b"
    for name in second.keys() - first.keys():
        yield f"{kind} '{name}' is only in b"
    if [name for name in first if name in second] != [name for name in second if name in first]:
        yield f"the {kind}s stand in another order"
    for name in first.keys() & second.keys():
        x, y = first[name], second[name]
        if x.dtype != y.dtype and None not in (x.dtype, y.dtype):
            yield f"{kind} '{name}' is {x.dtype} in a and {y.dtype} in b"
        elif not shapes_agree(x.shape, y.shape):
            yield f"{kind} '{name}' has shape {x.shape} in a and {y.shape} in b"


def _weaknesses(outputs: Iterable[Difference], runs: Sequence[Arrays]) -> Iterator[str]:
    """Outputs that say little: a mistake could hide in them."""
    for output in outputs:
        first = runs[0][output.name]
        if first.dtype.kind == "f" and not any(np.isfinite(run[output.name]).any() for run in runs):
            yield f"output '{output.name}' is never finite: nothing was compared"
        elif first.size > 1 and all(np.all(run[output.name] == first.flat[0]) for run in runs):
            yield f"output '{output.name}' is the same number everywhere: the check is weak"
        elif WEAK <= output.allowed_rel < math.inf:
            yield (
                f"output '{output.name}' amplifies rounding (κ = {output.condition:.0e}), which may move it "
                f"by {output.allowed_rel:.1e} of its size, so the check is weak"
            )


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
