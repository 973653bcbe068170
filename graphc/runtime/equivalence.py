"""Do two models compute the same function? Both run on the same seeded inputs, and every output is measured.

How far they may differ is derived from what was done to the model (`tolerance.py`), never picked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc.errors import GraphcError, suggest
from graphc.model import load
from graphc.runtime import feeds as inputs_of
from graphc.runtime.session import Provider, session
from graphc.runtime.feeds import Feeds
from graphc.runtime.tolerance import EXACT, Tolerance, rounding


@dataclass(frozen=True)
class Difference:
    """How far output `name` of the second model (b) is from that of the first (a), the worst over all seeds.

    `max_abs`, `mean_abs`: of |a − b|. `max_rel` = max|a − b| / max|a| and `mean_rel` = mean|a − b| / mean|a|: relative to
    the output and not to each element, whose cancellation would make it meaningless. `max_ulp`: floating-point numbers
    between a and b, of the output's own type. `cosine`: of a and b as vectors. `psnr`: in decibels, of a's range against the
    root mean square of a − b; inf when equal. Measured where both are finite; `reason` says why a check failed.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    max_abs: float
    mean_abs: float
    max_rel: float
    mean_rel: float
    max_ulp: int
    cosine: float
    psnr: float
    tolerance: Tolerance
    reason: str = ""

    @property
    def passed(self) -> bool:
        """Whether a and b agree within the tolerance for every seed."""
        return not self.reason

    def worse(self, other: Difference) -> Difference:
        """The worse of two seeds, measure by measure; the first reason stays."""
        return replace(
            self,
            max_abs=max(self.max_abs, other.max_abs),
            mean_abs=max(self.mean_abs, other.mean_abs),
            max_rel=max(self.max_rel, other.max_rel),
            mean_rel=max(self.mean_rel, other.mean_rel),
            max_ulp=max(self.max_ulp, other.max_ulp),
            cosine=min(self.cosine, other.cosine),
            psnr=min(self.psnr, other.psnr),
            reason=self.reason or other.reason,
        )


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
        return all(output.passed for output in self.outputs)

    @property
    def worst(self) -> Difference:
        """The output that failed, else the one with the largest relative error."""
        return max(self.outputs, key=lambda output: (not output.passed, output.max_rel))

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

    def text(self) -> str:
        """A table with one line per output, then the reasons and the warnings."""
        head = ("output", "max abs", "mean abs", "max rel", "allowed", "ulp", "cosine", "psnr", "")
        rows = [head, *(_row(output) for output in self.outputs)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = [
            "  ".join(
                [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            ).rstrip()
            for row in rows
        ]
        lines += [f"{output.name}: {output.reason}" for output in self.outputs if not output.passed]
        lines += [f"warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    __str__ = text


def check(
    a: ir.Model | Path | str,
    b: ir.Model | Path | str,
    *,
    seeds: int = 3,
    seed: int = 0,
    provider: Provider = "cpu",
    tolerance: Tolerance | None = None,
    tolerances: Mapping[str, Tolerance] | None = None,
    dims: Mapping[str, int] | None = None,
    inputs: Feeds | None = None,
) -> Report:
    """Run `a` (the reference) and `b` on the same inputs and compare every output.

    Args:
        a, b: models, or files of models, with the same interface. Inputs that are also initializers may be missing
            in one; those that both have are fed other values once more, so that folding one shows.
        seeds: how many sets of random inputs, each of another distribution (`feeds.DISTRIBUTIONS`).
        seed: where the random numbers start.
        provider: "cpu" or "cuda"; both models run there.
        tolerance: what is allowed; by default `tolerance.rounding(a)`: any other order of summation.
        tolerances: overrides for single outputs, by name.
        dims: sizes of symbolic dimensions, see `feeds`.
        inputs: arrays to feed instead of random ones, by name.

    Raises GraphcError: run/interface-differs (which input or output), run/usage, run/not-analysed, run/session-failed,
    run/provider-missing, and what `graphc.load` raises for a file.
    """
    first = a if isinstance(a, ir.Model) else load(a)
    second = b if isinstance(b, ir.Model) else load(b)
    require_same_interface(first, second)
    _require_known(first, seeds, inputs or {}, tolerances or {})
    sizes = inputs_of.bindings(first, dims or {})
    labels, feeds = zip(*_all_feeds(first, second, seeds, seed, sizes, inputs or {}), strict=True)
    with session(first, provider=provider) as run_a, session(second, provider=provider) as run_b:
        runs = [(run_a.run(feed), run_b.run(feed)) for feed in feeds]
    default = tolerance if tolerance is not None else rounding(first)
    outputs = []
    for name in runs[0][0]:
        allowed = (tolerances or {}).get(name, default if runs[0][0][name].dtype.kind == "f" else EXACT)
        outputs.append(reduce(Difference.worse, (measure(name, x[name], y[name], allowed) for x, y in runs)))
    return Report(tuple(outputs), labels, sizes, provider, tuple(_weaknesses([x for x, _ in runs])))


def measure(name: str, a: np.ndarray, b: np.ndarray, tolerance: Tolerance) -> Difference:
    """The Difference of one output for one set of inputs; NaN and inf must be the same in the same places."""
    base = Difference(name, a.dtype.name, a.shape, 0.0, 0.0, 0.0, 0.0, 0, 1.0, math.inf, tolerance)
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return replace(base, reason=f"{a.dtype.name}{a.shape} became {b.dtype.name}{b.shape}")
    if a.dtype.kind not in "fiub":
        return base if np.array_equal(a, b) else replace(base, reason="the values differ")
    if a.dtype.kind == "f":
        finite = np.isfinite(a) & np.isfinite(b)
        odd = np.count_nonzero(~np.isclose(a[~finite], b[~finite], equal_nan=True))
        if odd:
            return replace(base, reason=f"NaN or inf in one model only at {odd} of {a.size} elements")
        a, b = a[finite], b[finite]
    if a.size == 0:
        return base
    measured = replace(base, max_ulp=ulp_distance(a, b), **_norms(a.astype(np.float64), b.astype(np.float64)))
    scale = float(np.abs(a.astype(np.float64)).max())
    limit = tolerance.allowed(scale)
    if measured.max_abs <= limit:
        return measured
    return replace(
        measured,
        reason=f"max|a − b| = {measured.max_abs:.3g} exceeds {limit:.3g} ({tolerance}, max|a| = {scale:.3g})",
    )


def _norms(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
    """The measures of two float64 arrays that hold finite values only."""
    error = np.abs(a - b)
    max_abs, mean_abs, mean_square = float(error.max()), float(error.mean()), float(np.square(error).mean())
    lengths = float(np.linalg.norm(a)) * float(np.linalg.norm(b))
    spread = float(a.max() - a.min()) or float(np.abs(a).max())
    same = max_abs == 0.0
    return {
        "max_abs": max_abs,
        "mean_abs": mean_abs,
        "max_rel": _ratio(max_abs, float(np.abs(a).max())),
        "mean_rel": _ratio(mean_abs, float(np.abs(a).mean())),
        "cosine": 1.0 if same else float(np.vdot(a, b)) / lengths if lengths else 0.0,
        "psnr": math.inf if same else 10 * math.log10(spread**2 / mean_square) if spread else -math.inf,
    }


def ulp_distance(a: np.ndarray, b: np.ndarray) -> int:
    """The largest number of representable values between a and b, elementwise; |a − b| for integers. ±0 are one value.

    The bits of a float, read as an integer, count the numbers from zero; negative ones count down.
    """
    first, second = _ordinal(a), _ordinal(b)
    upper, lower = np.maximum(first, second).view(np.uint64), np.minimum(first, second).view(np.uint64)
    return int((upper - lower).max())  # modulo 2**64, which is right even where int64 would overflow


def _ordinal(x: np.ndarray) -> np.ndarray:
    if x.dtype.kind != "f":
        return x.astype(np.int64)
    bits = np.ascontiguousarray(x).view(f"i{x.itemsize}")
    return np.where(bits < 0, np.iinfo(bits.dtype).min - bits, bits).astype(np.int64)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else (math.inf if part else 0.0)


# ---------------------------------------------------------------- what is fed, what is refused


def _all_feeds(
    a: ir.Model, b: ir.Model, seeds: int, seed: int, sizes: Mapping[str, int], given: Feeds
) -> Iterator[tuple[str, Feeds]]:
    """Labelled feeds: one per seed, and one more that overrides the initializers that are inputs of both models."""
    for index in range(seeds):
        yield inputs_of.distribution(index), inputs_of.feeds(a, seed, index, sizes, given)
    both = {value.name for value in b.graph.inputs}
    overrides = {name: array for name, array in inputs_of.perturbed(a, seed).items() if name in both}
    if overrides:
        yield "initializers overridden", inputs_of.feeds(a, seed, 0, sizes, given) | overrides


def _require_known(model: ir.Model, seeds: int, inputs: Feeds, tolerances: Mapping[str, Tolerance]) -> None:
    """Refuse names that the model does not have, and a check that would run nothing."""
    if seeds < 1:
        raise GraphcError("a check needs at least one seed", code="run/usage")
    for kind, asked, values in (
        ("input", inputs, model.graph.inputs),
        ("output", tolerances, model.graph.outputs),
    ):
        names = [str(value.name) for value in values]
        for name in asked:
            if name not in names:
                raise GraphcError(
                    f"the model has no {kind} '{name}'", code="run/usage", hint=suggest(name, names)
                )


def require_same_interface(a: ir.Model, b: ir.Model) -> None:
    """Raises GraphcError (run/interface-differs) that names each input or output in which a and b differ.

    Names, types and ranks must agree, and sizes where both are numbers: a symbolic size agrees with any.
    """
    found = [
        *_differences("input", inputs_of.required(a.graph), inputs_of.required(b.graph)),
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
    for name in first.keys() & second.keys():
        x, y = first[name], second[name]
        if x.dtype != y.dtype and None not in (x.dtype, y.dtype):
            yield f"{kind} '{name}' is {x.dtype} in a and {y.dtype} in b"
        elif not _shapes_agree(x.shape, y.shape):
            yield f"{kind} '{name}' has shape {x.shape} in a and {y.shape} in b"


def _shapes_agree(a: ir.Shape | None, b: ir.Shape | None) -> bool:
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(
        x == y or not (isinstance(x, int) and isinstance(y, int)) for x, y in zip(a, b, strict=True)
    )


def _weaknesses(runs: Sequence[Mapping[str, np.ndarray]]) -> Iterator[str]:
    """Outputs that say little: a check of them could hardly fail."""
    for name, first in runs[0].items():
        if first.dtype.kind == "f" and not any(np.isfinite(run[name]).any() for run in runs):
            yield f"output '{name}' is never finite: nothing was compared"
        elif first.size > 1 and all(np.all(run[name] == first.flat[0]) for run in runs):
            yield f"output '{name}' is the same number everywhere: the check is weak"


# ---------------------------------------------------------------- rendering


def _row(output: Difference) -> tuple[str, ...]:
    ulp = f"{output.max_ulp}" if output.max_ulp < 1_000_000 else f"{output.max_ulp:.0e}"
    return (
        output.name,
        f"{output.max_abs:.2e}",
        f"{output.mean_abs:.2e}",
        f"{output.max_rel:.2e}",
        str(output.tolerance),
        ulp,
        f"{output.cosine:.9f}",
        f"{output.psnr:.1f} dB",
        "ok" if output.passed else "FAILED",
    )


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
