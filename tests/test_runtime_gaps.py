"""What ONNX Runtime's CPU provider refuses or gets wrong, and the rewrites after which it runs it right.

Each row: before, ONNX Runtime refuses or computes something else than the specification; after its rewrites, it
computes what the specification says. A row whose first half no longer holds has been mended: a warning says so, and it
may go.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from graphc import Case, CaseBuilder, check
from graphc.errors import GraphcError
from graphc.pipeline import find_pass
from graphc.runtime.session import session

FLOAT, DOUBLE, UINT8 = ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.UINT8


@dataclass(frozen=True)
class Gap:
    """A model that ONNX Runtime does not run right, and the rewrites that help, with their options."""

    name: str
    build: Callable[[CaseBuilder], Any]
    rewrites: Sequence[str]
    dtype: ir.DataType = FLOAT
    opset: int = 20

    def model(self) -> ir.Model:
        return Case(self.name, self.build, dtype=self.dtype, opset=self.opset).model()

    def rewritten(self) -> ir.Model:
        model = self.model()
        for name in self.rewrites:
            model = find_pass(name, {"when": "always"})(model).model
        return model


def pool(op_type: str, mode: str, **attributes: Any) -> Callable[[CaseBuilder], Any]:
    return lambda g: g.record(
        op_type, g.input(1, 2, 9, 10), kernel_shape=(3, 3), dilations=(2, 2), auto_pad=mode, **attributes
    )


def conv(mode: str) -> Callable[[CaseBuilder], Any]:
    return lambda g: g.Conv(g.input(1, 2, 9, 10), g.weight(3, 2, 3, 3), auto_pad=mode, dilations=(2, 2))


def integer(g: CaseBuilder, zero: Sequence[int] | None = None, **attributes: Any) -> Any:
    x = g.input(1, 2, 7, 6, dtype=UINT8)
    w = g.constant(g.random.integers(0, 255, (3, 2, 3, 3)), like=x)
    zeros = [g.constant(each, like=x) for each in (7, zero) if each is not None]
    return g.ConvInteger(x, w, *zeros, **attributes)


def resize(x: Sequence[int], scales: Sequence[float], mode: str, **attributes: Any) -> Callable[[CaseBuilder], Any]:
    return lambda g: g.Resize(g.input(*x), None, g.constant(np.array(scales, np.float32)), mode=mode, **attributes)


GAPS = [
    *(
        Gap(f"Conv {mode}, dilated", conv(mode), ["replace-auto-pad-with-pads"])
        for mode in ("SAME_UPPER", "SAME_LOWER")
    ),
    *(
        Gap(f"{op_type} {mode}, dilated", pool(op_type, mode), ["replace-auto-pad-with-pads"])
        for op_type in ("AveragePool", "MaxPool", "LpPool")
        for mode in ("SAME_UPPER", "SAME_LOWER")
    ),
    Gap(
        "ConvInteger SAME_UPPER, dilated",
        lambda g: integer(g, auto_pad="SAME_UPPER", dilations=(2, 2)),
        ["replace-auto-pad-with-pads"],
    ),
    Gap(
        "Conv of doubles",
        lambda g: g.Conv(g.input(1, 2, 5, 6), g.weight(3, 2, 3, 3), g.weight(3), strides=(2, 1), pads=(1, 1, 1, 1)),
        ["replace-double-conv-with-matmul"],
        dtype=DOUBLE,
    ),
    Gap(
        "Conv of doubles, SAME_UPPER",
        lambda g: g.Conv(g.input(1, 2, 5, 6), g.weight(3, 2, 3, 3), auto_pad="SAME_UPPER"),
        ["replace-auto-pad-with-pads", "replace-double-conv-with-matmul"],
        dtype=DOUBLE,
    ),
    Gap(
        "ConvTranspose of doubles",
        lambda g: g.ConvTranspose(g.input(1, 2, 5, 6), g.weight(2, 3, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
        ["replace-conv-transpose-with-subpixel-conv", "replace-double-conv-with-matmul"],
        dtype=DOUBLE,
    ),
    Gap(
        "DeformConv, 3-D",
        lambda g: g.DeformConv(g.input(1, 2, 4, 4, 4), g.weight(3, 2, 2, 2, 2), g.input(1, 24, 3, 3, 3)),
        ["replace-deform-conv-with-gathers"],
    ),
    Gap(
        "ConvInteger with a zero point for each filter",
        lambda g: integer(g, zero=[1, 2, 3], pads=(1, 1, 1, 1)),
        ["replace-conv-integer-zero-points-with-sum"],
    ),
    Gap(
        "RoiAlign of opset 22",
        lambda g: g.RoiAlign(
            g.input(2, 2, 7, 8),
            g.constant(np.array([[0, 0, 4, 4], [1, 1, 6, 7], [-3, -2, 9, 12]], np.float32)),
            g.constant([0, 1, 1]),
            output_height=3,
            output_width=2,
            sampling_ratio=2,
        ),
        ["replace-roi-align-with-matmul"],
        opset=22,
    ),
    *(
        Gap(f"Resize {name}", build, ["replace-resize-with-matmul"])
        for name, build in {
            "cubic, 1-D": resize((1, 2, 7), (1, 1, 2), "cubic"),
            "cubic, 3-D": resize((1, 2, 3, 4, 5), (1, 1, 2, 2, 2), "cubic"),
            "cubic, channels": resize((1, 2, 4, 5), (1, 2, 2, 2), "cubic"),
            "linear, channels": resize((1, 2, 4, 5), (1, 2, 2, 2), "linear"),
            "cubic align_corners": resize(
                (1, 2, 7, 9), (1, 1, 0.55, 0.6), "cubic", coordinate_transformation_mode="align_corners"
            ),
            "linear align_corners": resize(
                (1, 2, 7, 9), (1, 1, 0.55, 0.6), "linear", coordinate_transformation_mode="align_corners"
            ),
        }.items()
    ),
]


@pytest.mark.parametrize("gap", GAPS, ids=lambda gap: gap.name)
def test_rewritten_it_runs_right(gap: Gap) -> None:
    report = check(gap.model(), gap.rewritten(), provider_of_a="reference")
    assert report.passed, report.worst
    if mended(gap.model()):
        warnings.warn(f"ONNX Runtime now runs '{gap.name}' right: the row may go", stacklevel=1)


def mended(model: ir.Model) -> bool:
    """Whether ONNX Runtime computes what the reference does."""
    try:
        return check(model, model.clone(), provider_of_a="reference").passed
    except GraphcError:
        return False


def test_rows_are_gaps() -> None:
    """The test above is not vacuous: it knows a model that ONNX Runtime runs right."""
    right = Gap("right", lambda g: g.Conv(g.input(1, 2, 5, 6), g.weight(3, 2, 3, 3)), [])
    assert mended(right.model())


def test_transposed_same_that_falls_short_is_no_gap() -> None:
    """Kernel 2, stride 3: 26 × 29 in ONNX Runtime and in ONNX's own shape inference, so in every model's shapes.

    The text of the operator asks for 27 × 30, as `onnx.reference` computes. A rewrite keeps shapes, so it keeps these.
    """

    def build(g: CaseBuilder) -> Any:
        return g.ConvTranspose(g.input(1, 2, 9, 10), g.weight(2, 3, 2, 2), strides=(3, 3), auto_pad="SAME_UPPER")

    model = Gap("short", build, []).model()
    assert model.graph.outputs[0].shape == (1, 3, 26, 29)
    with session(model) as opened:
        (found,) = opened.run({"x0": np.zeros((1, 2, 9, 10), np.float32)}).values()
    assert found.shape == (1, 3, 26, 29)
    assert check(model, Gap("short", build, ["replace-auto-pad-with-pads"]).rewritten()).passed


def test_cubic_half_pixel_symmetric_is_no_gap() -> None:
    """7 · 1.5 is no whole number: `onnx.reference` differs, but ONNX Runtime computes what the operator's text says."""
    length, scale, coefficient = 7, 1.5, -0.75
    x = np.random.default_rng(0).standard_normal((1, 1, length)).astype(np.float32)
    out = int(length * scale)
    expected = np.zeros(out)
    for index in range(out):
        place = length / 2 * (1 - out / (length * scale)) + (index + 0.5) / scale - 0.5
        for tap in range(int(np.floor(place)) - 1, int(np.floor(place)) + 3):
            expected[index] += cubic(abs(place - tap), coefficient) * x[0, 0, min(max(tap, 0), length - 1)]
    mode = "half_pixel_symmetric"
    build = resize((1, 1, length, 1), (1, 1, scale, 1), "cubic", coordinate_transformation_mode=mode)
    gap = Gap("symmetric", build, ["replace-resize-with-matmul"])
    for model in (gap.model(), gap.rewritten()):
        with session(model) as opened:
            (found,) = opened.run({"x0": x[..., None]}).values()
        np.testing.assert_allclose(found[0, 0, :, 0], expected, rtol=1e-5, atol=1e-5)


def cubic(t: float, a: float) -> float:
    """Keys' kernel, ICASSP 1981."""
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0
