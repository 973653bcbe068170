"""How far one array is from another, in every measure that people ask for, and whether that is allowed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from graphc.runtime.tolerance import EXACT, Tolerance


@dataclass(frozen=True)
class Difference:
    """How far output `name` of the second model (b) is from that of the first (a); see `worse` for several seeds.

    Measured where both are finite. Relative errors are relative to the output and not to each element, whose
    cancellation would make them meaningless.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    tolerance: Tolerance
    max_abs: float = 0.0  # of |a − b|
    mean_abs: float = 0.0
    max_rel: float = 0.0  # max|a − b| / max|a|
    mean_rel: float = 0.0  # mean|a − b| / mean|a|
    max_ulp: int = 0  # representable numbers between a and b, of the output's own type
    cosine: float = 1.0  # of a and b as vectors
    psnr: float = math.inf  # decibels, the range of a against the root mean square of a − b
    condition: float = 1.0  # κ of tolerance.py
    used: float = 0.0  # share of the tolerance that max_abs uses; above 1 it fails
    allowed_rel: float = 0.0  # the tolerance itself, divided by max|a|
    reason: str = ""  # why it failed

    def __str__(self) -> str:
        allowed = f"max|a − b| = {self.max_abs:.3g}, within {self.tolerance}"
        return f"{self.name}: {self.reason or allowed}"

    @property
    def passed(self) -> bool:
        """Whether a and b agree within the tolerance."""
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
            condition=max(self.condition, other.condition),
            used=max(self.used, other.used),
            allowed_rel=min(self.allowed_rel, other.allowed_rel),
            reason=self.reason or other.reason,
        )


def measure(name: str, a: np.ndarray, b: np.ndarray, tolerance: Tolerance, condition: float = 1.0) -> Difference:
    """The Difference of one output for one set of inputs; NaN and inf must be the same in the same places."""
    difference = Difference(name, a.dtype.name, a.shape, tolerance, condition=condition)
    if (a.dtype, a.shape) != (b.dtype, b.shape):
        return _incomparable(difference, f"{a.dtype.name}{a.shape} became {b.dtype.name}{b.shape}")
    if a.dtype.kind not in "fiub":
        return difference if np.array_equal(a, b) else _incomparable(difference, "the values differ")
    if a.dtype.kind == "f":
        finite = np.isfinite(a) & np.isfinite(b)
        odd = np.count_nonzero(~np.isclose(a[~finite], b[~finite], equal_nan=True))
        if odd:
            return _incomparable(difference, f"NaN or inf in one model only at {odd} of {a.size} elements")
        a, b = a[finite], b[finite]
    return _measure_finite(difference, a, b) if a.size else difference


def measure_steps(
    name: str, a: np.ndarray, b: np.ndarray, moved: np.ndarray, by: float, tolerance: Tolerance
) -> Difference:
    """The Difference of integers that floats lead to (a Cast, an ArgMax), which rounding tips over here and there.

    A change of the inputs by `by` (relative) moved n of them: `moved`. Rounding is `tolerance.rounding` of that change,
    so it moves m = n·rounding/by of them, m + 5·√m + 1 at the most (five deviations of a count), and none further
    than the change did. Where the change moves nothing, or nothing may be rounded, all must be equal.
    """
    difference = measure(name, a, b, EXACT)
    tipped = np.count_nonzero(a != moved) if a.shape == moved.shape else 0
    if difference.passed or not tipped or not tolerance.rounding or a.shape != b.shape or a.dtype != b.dtype:
        return difference
    mean = tipped * tolerance.rounding / by
    allowed, found = math.floor(mean + 5 * math.sqrt(mean) + 1), int(np.count_nonzero(a != b))
    furthest = float(np.abs(a.astype(np.float64) - moved.astype(np.float64)).max())
    if found <= allowed and difference.max_abs <= furthest:
        return replace(difference, reason="", used=found / allowed)
    why = f"{found} of {a.size} integers differ, by {difference.max_abs:.3g}"
    return replace(difference, reason=f"{why}; rounding explains {allowed}, by {furthest:.3g}")


def _measure_finite(difference: Difference, a: np.ndarray, b: np.ndarray) -> Difference:
    x, y = a.astype(np.float64), b.astype(np.float64)
    error, scale = np.abs(x - y), float(np.abs(x).max())
    max_abs, mean_abs = float(error.max()), float(error.mean())
    rms = scale * math.sqrt(float(np.square(x / scale).mean())) if scale else 0.0
    allowed = difference.tolerance.allowed(scale, difference.condition, rms)
    measured = replace(
        difference,
        max_abs=max_abs,
        mean_abs=mean_abs,
        max_rel=ratio(max_abs, scale),
        mean_rel=ratio(mean_abs, float(np.abs(x).mean())),
        max_ulp=ulp_distance(a, b),
        cosine=_cosine(x, y) if max_abs else 1.0,
        psnr=_psnr(x, error) if max_abs else math.inf,
        used=ratio(max_abs, allowed),
        allowed_rel=ratio(allowed, scale),
    )
    if max_abs <= allowed:
        return measured
    why = f"{measured.tolerance}, max|a| = {scale:.3g}, κ = {measured.condition:.3g}"
    return replace(measured, reason=f"max|a − b| = {max_abs:.3g} exceeds {allowed:.3g} ({why})")


def _incomparable(difference: Difference, reason: str) -> Difference:
    return replace(difference, reason=reason, used=math.inf)


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    """Of two vectors, each divided by its largest element first, so that no square overflows."""
    x, y = (v / (float(np.abs(v).max()) or 1.0) for v in (x, y))
    return ratio(float(np.vdot(x, y)), float(np.linalg.norm(x)) * float(np.linalg.norm(y)))


def _psnr(x: np.ndarray, error: np.ndarray) -> float:
    """20·log10 of the range of x over the root mean square of a nonzero error, in decibels."""
    largest = float(error.max())
    root_mean_square = largest * math.sqrt(float(np.square(error / largest).mean()))
    spread = float(x.max() - x.min()) or float(np.abs(x).max())
    return 20 * math.log10(spread / root_mean_square) if spread else -math.inf


def ulp_distance(a: np.ndarray, b: np.ndarray) -> int:
    """The largest number of representable values between a and b; |a − b| for integers. ±0 are one value.

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


def ratio(part: float, whole: float) -> float:
    """part / whole; 0 of 0 is 0, anything else of 0 is infinite."""
    return part / whole if whole else (math.inf if part else 0.0)
