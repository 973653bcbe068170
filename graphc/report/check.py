"""How far two models are apart, output by output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from graphc.errors import clean
from graphc.report.page import Page, paragraphs
from graphc.report.quantity import plural
from graphc.report.table import table

if TYPE_CHECKING:
    from graphc.runtime.difference import Difference
    from graphc.runtime.equivalence import Report

MANY = 1_000_000  # from here on a count of ULPs is rounded
# Every measure by its heading; `used` is the share of what is allowed.
MEASURES: dict[str, Callable[[Difference], str]] = {
    "max error": lambda d: f"{d.max_abs:.2e}" if d.max_abs else "0",
    "mean error": lambda d: f"{d.mean_abs:.2e}" if d.mean_abs else "0",
    "relative": lambda d: f"{d.max_rel:.1e}" if d.max_rel else "0",
    "allowed": lambda d: f"{d.allowed_rel:.1e}" if d.allowed_rel else "bit-equal",
    "used": lambda d: f"{100 * d.used:.0f} %" if d.allowed_rel else "",
    "ulp": lambda d: str(d.max_ulp) if d.max_ulp < MANY else f"{d.max_ulp:.0e}",
    "cosine": lambda d: f"{d.cosine:.9f}",
    "psnr": lambda d: f"{d.psnr:.1f} dB",
}
BRIEF = ("max error", "relative", "allowed", "used")


def page(report: Report) -> Page:
    """The whole result of a check."""
    verdict = "the models agree" if report.passed else "the models differ"
    return Page(paragraphs(verdict, text(report, tuple(MEASURES))), report.as_json())


def text(report: Report, measures: Sequence[str] = BRIEF) -> str:
    """What was fed, a table with one line per output, why outputs failed, and what weakens the verdict."""
    rows = [("output", *measures, ""), *(_row(each, measures) for each in report.outputs)]
    lines = [
        f"checked on {_evaluator(report.provider)} with {plural(len(report.feeds), 'set')} of inputs",
        table(rows, "<" + ">" * len(measures) + "<", indent=2),
        *(clean(str(output)) for output in report.outputs if not output.passed),
        *(clean(f"warning: {warning}") for warning in report.warnings),
    ]
    return "\n".join(lines)


def _evaluator(provider: str) -> str:
    return "the reference evaluator" if provider == "reference" else f"ONNX Runtime ({provider})"


def _row(output: Difference, measures: Sequence[str]) -> tuple[str, ...]:
    """Where nothing could be compared (another shape, NaN in one model only) there is nothing to measure."""
    compared = output.passed or output.max_abs > 0
    cells = (MEASURES[name](output) if compared else "" for name in measures)
    return (output.name, *cells, "" if output.passed else "FAILED")
