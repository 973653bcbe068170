"""An opset that the target does not read, or a version of an operator for which it has no kernel.

Why    the same operator of an older opset would run: the exporter wrote a newer one than the runtime that is installed
       knows. ONNX Runtime follows ONNX by some months, and operator by operator.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.lints.target._target import file_target, grouped, lacking, mended, parted
from graphc_passes.rewrites.legal.replace_roi_align_with_matmul import replace_roi_align_with_matmul


@lint(category="target", severity="error", help="export the model for an older opset, or upgrade the runtime")
def opset_unsupported(subject: Subject) -> Iterator[Problem]:
    opset, newest = subject.model.opset_imports.get("", 1), _newest(subject)
    if newest is not None and opset > newest:
        yield Problem(f"opset {opset}, and the target reads up to {newest}", measured=opset, limit=newest)
    for problem in grouped((node, lack.what) for node, lack in lacking(subject, "opset")):
        yield mended(problem, subject.model.opset_imports, replace_roi_align_with_matmul)


def _newest(subject: Subject) -> int | None:
    """The newest opset that the target reads, if it says."""
    found, target = parted(subject), file_target(subject)
    if found is not None:
        return found.newest_opset
    return target.opset if target is not None else None


def _aligned(g: CaseBuilder, opset: int) -> ir.Value:
    g.opset = opset
    regions, images = g.input(2, 4), g.input(2, dtype=ir.DataType.INT64)
    found: ir.Value = g.RoiAlign(
        g.input(1, 3, 16, 16), regions, images, output_height=2, output_width=2, sampling_ratio=2
    )
    return found


@opset_unsupported.bad(target="ort-cpu")
def of_opset_22(g: CaseBuilder) -> object:
    return _aligned(g, 22)


@opset_unsupported.good(target="ort-cpu")
def of_opset_20(g: CaseBuilder) -> object:
    return _aligned(g, 20)
