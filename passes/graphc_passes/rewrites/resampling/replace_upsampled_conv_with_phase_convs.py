"""Replace a convolution of data enlarged by repetition with one small convolution for each phase, before enlarging.

Law    conv(up_s(x), w)[s·n + r] = conv(x, W_r)[n]     W_r[u] = Σ of the taps t with ⌊(r + d·t − p)/s⌋ = u
       (the phases of the axis, those of the data all equal); a border at high resolution is one at low resolution:
       of zeros, of a constant, of the last element repeated, wrapped; a reflection of less than s repeats the last
Why    3×3 after ×2 becomes four 2×2: 16/36 of the multiplications, and the enlarged data is never made. It is the
       decoder of style transfer (Johnson et al., ECCV 2016, with nearest upsampling) and of many U-Nets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Convolution, Phases, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.filters import ConstantConv
from graphc_passes.nodes.nests import nest_over
from graphc_passes.nodes.padding import Padding, filled
from graphc_passes.nodes.rearranging import crop, interleaved
from graphc_passes.nodes.resampling import Resampling
from graphc_passes.nodes.stated import known_sizes, spatial_sizes
from graphc_passes.sampling.resizes import resize


@dataclass(frozen=True)
class Enlarged:
    """Data that is repeated `scales` times along its spatial axes, then bordered: by `mode` with `value`."""

    data: ir.Value
    scales: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    mode: str
    value: float

    @property
    def zeros(self) -> bool:
        """Whether the border is one of zeros."""
        return self.mode == "constant" and self.value == 0


@rewrite("Conv", numerics="reassociates")
def replace_upsampled_conv_with_phase_convs(root: View, op: Tape) -> ir.Value:
    enlarged = _enlarged(root.required("X"), root)
    conv, nest = ConstantConv.read(root), _nest(root, enlarged)
    require(enlarged.zeros or not any(max(pads) for pads in _own_pads(root, nest)), "zeros lie around another border")
    require(all(axis.output > 0 for axis in nest.axes), "the output is empty")
    phases = _phases(nest, enlarged)
    spans = [[_span(phase, r) for r in range(phase.Q)] for phase in phases]
    require(
        prod(sum(end - begin for begin, end in of_axis) for of_axis in spans)
        < prod(axis.taps * phase.Q for axis, phase in zip(nest.axes, phases, strict=True)),
        "the phases would not need fewer multiplications",
        conservative="it would be slower",
    )
    filters = _filters(nest, conv.filter, phases)
    planes = []
    for index, choice in enumerate(product(*spans)):
        window: tuple[Any, ...] = (slice(None), index, slice(None), *(slice(*span) for span in choice))
        planes.append(_plane(op, conv, enlarged, phases, choice, filters[window]))
    full = interleaved(op, planes, [phase.Q for phase in phases])
    return crop(op, full, [0] * len(phases), [phase.axis.output * phase.Q - phase.output for phase in phases])


def _enlarged(value: ir.Value, root: View) -> Enlarged:
    """What the convolution reads. Raises Refusal when it is not repeated data, or its border is none at low size."""
    bordered = root.made_by(value, "Resize", "Upsample", "Pad")
    padding = Padding.read(bordered) if bordered.op_type == "Pad" else None
    resampling = Resampling.read(
        bordered if padding is None else bordered.made_by(bordered.required("data"), "Resize", "Upsample")
    )
    periods = resampling.spatial_periods()
    if not all(period.replicates for period in periods):
        raise Refusal("the data is not enlarged by repetition")
    scales, none = tuple(period.up for period in periods), (0,) * len(periods)
    if padding is None:
        return Enlarged(resampling.data, scales, none, none, "constant", 0.0)
    require(padding.spatial_only, "the batch or the channels are padded")
    require(not padding.crops, "a negative pad crops what a border may then lie on")
    before, after = (tuple(int(width) for width in widths[2:]) for widths in (padding.before, padding.after))
    reaches = max(b - s for widths in (before, after) for b, s in zip(widths, scales, strict=True))
    require(padding.mode != "reflect" or reaches < 0, "the reflection reaches beyond one repeated element")
    mode = "edge" if padding.mode == "reflect" else padding.mode
    return Enlarged(resampling.data, scales, before, after, mode, padding.value)


def _nest(root: View, enlarged: Enlarged) -> Convolution:
    """The convolution over the enlarged data without its border, which counts as padding."""
    full = [size * scale for size, scale in zip(spatial_sizes(enlarged.data), enlarged.scales, strict=True)]
    borders = list(zip(enlarged.before, enlarged.after, strict=True))
    sizes = [size + sum(border) for size, border in zip(full, borders, strict=True)]
    nest = nest_over(root, [1, known_sizes(root.required("W"))[1] * root.attr("group"), *sizes])
    axes = [
        replace(axis, input=size, pad=axis.pad + before)
        for axis, size, (before, _) in zip(nest.axes, full, borders, strict=True)
    ]
    return replace(nest, axes=tuple(axes))


def _own_pads(root: View, nest: Convolution) -> list[tuple[int, int]]:
    """The convolution's own pads, (begin, end) of each axis, or what `auto_pad` could add."""
    rank = len(nest.axes)
    if root.attr("auto_pad").startswith("SAME"):
        return [(axis.taps - 1, 0) for axis in nest.axes]
    pads = root.attr("pads") or (0,) * (2 * rank)
    return list(zip(pads[:rank], pads[rank:], strict=True))


def _phases(nest: Convolution, enlarged: Enlarged) -> list[Phases]:
    """The phases whose inputs are the repeated elements: P = scale."""
    for axis, scale in zip(nest.axes, enlarged.scales, strict=True):
        if scale % axis.down:
            raise Refusal("the stride does not divide the scale")
    return [axis.phases(scale // axis.down) for axis, scale in zip(nest.axes, enlarged.scales, strict=True)]


def _span(phase: Phases, r: int) -> tuple[int, int]:
    """[begin, end) of the low-resolution taps that output phase r has."""
    used = np.flatnonzero((phase.table[r] >= 0).any(axis=0))
    return int(used[0]), int(used[-1]) + 1


def _filters(nest: Convolution, filter_: np.ndarray, phases: Sequence[Phases]) -> np.ndarray:
    """[Cout, ΠQ, Cin/g, *widths]: the low-resolution taps, summed over the input phases, which are all alike."""
    lowered = nest.lowered_filter(filter_, phases)
    inner, widths = filter_.shape[1], lowered.shape[2:]
    P, Q = (prod(getattr(phase, name) for phase in phases) for name in "PQ")  # noqa: N806 - the names of the law
    summed = lowered.reshape(nest.out_channels, Q, inner, P, *widths).sum(axis=3)
    return np.asarray(summed)


def _plane(
    op: Tape,
    conv: ConstantConv,
    enlarged: Enlarged,
    phases: Sequence[Phases],
    spans: Sequence[tuple[int, int]],
    taps: np.ndarray,
) -> ir.Value:
    """The outputs of one phase."""
    axes = [
        Axis(phase.axis.input, phase.axis.output, end - begin, pad=phase.axis.pad - begin)
        for phase, (begin, end) in zip(phases, spans, strict=True)
    ]
    begin, end = zip(*(axis.pads for axis in axes), strict=True)
    data = crop(op, enlarged.data, [max(0, -pad) for pad in begin], [max(0, -pad) for pad in end])
    outer = [[max(0, pad) for pad in pads] for pads in (begin, end)]
    if not enlarged.zeros:
        data = filled(op, data, [0, 0, *outer[0]], [0, 0, *outer[1]], enlarged.mode, enlarged.value)
        outer = [[0] * len(axes)] * 2
    weights, has_bias = conv.view.required("W"), conv.view.input("B") is not None
    return op.Conv(
        data,
        op.constant(taps, like=weights, name="weight"),
        op.constant(conv.bias, like=weights, name="bias") if has_bias else None,
        group=conv.groups,
        pads=[*outer[0], *outer[1]],
    )


def _case(
    name: str,
    x: Sequence[int | str],
    scales: Sequence[float],
    w: Sequence[int],
    *,
    refuses: str | None = None,
    opset: int = 20,
    bias: bool = False,
    pad: Sequence[int] = (),
    pad_mode: str = "constant",
    value: float = 0.0,
    enlarge: dict[str, Any] | None = None,
    seed: int = 0,
    **attributes: Any,
) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        full = resize(g, g.input(*x), [1, 1, *scales], **(enlarge or {}))
        if pad:
            half = len(pad) // 2
            full = filled(g, full, [0, 0, *pad[:half]], [0, 0, *pad[half:]], pad_mode, value)
        return g.Conv(full, g.weight(*w), g.weight(w[0]) if bias else None, **attributes)

    return Case(name, build, refuses=refuses, opset=opset, seed=seed)


IMAGE, FILTER = (1, 2, 3, 4), (3, 2, 3, 3)
TWICE = (2, 2)


@replace_upsampled_conv_with_phase_convs.cases
def cases() -> Iterator[Case]:
    yield _case("kernel 3, twice", IMAGE, TWICE, FILTER, bias=True, pads=(1, 1, 1, 1))
    yield _case(
        "reflected, dynamic sizes", ("N", 2, "H", "W"), TWICE, FILTER, bias=True, pad=(1, 1, 1, 1), pad_mode="reflect"
    )
    yield _case("the edge repeated", IMAGE, TWICE, (2, 2, 5, 1), pad=(2, 0, 3, 1), pad_mode="edge")
    yield _case("wrapped", IMAGE, TWICE, FILTER, pad=(3, 1, 0, 1), pad_mode="wrap")
    yield _case("ones around", IMAGE, TWICE, FILTER, pad=(1, 0, 1, 1), value=1.0)
    yield _case("zeros of two kinds", IMAGE, (2, 3), FILTER, pad=(1, 0, 0, 1), pads=(1, 1, 1, 1))
    yield _case("grouped, no padding, columns only", (1, 4, 3, 3), (1, 2), (4, 2, 1, 3), group=2)
    yield _case("a stride that undoes it", IMAGE, TWICE, FILTER, pads=(1, 1, 1, 1), strides=(2, 2))
    yield _case("1-D, thrice", (2, 2, 4), (3,), (2, 2, 4), auto_pad="SAME_UPPER")
    yield _case("3-D", (1, 1, 2, 2, 3), (1, 2, 2), (2, 1, 1, 3, 2), pads=(0, 1, 1, 0, 1, 0))
    yield _case("Upsample", IMAGE, TWICE, FILTER, opset=9, enlarge={"op_type": "Upsample"}, pads=(1, 1, 1, 1))
    yield _case(
        "linear",
        IMAGE,
        TWICE,
        FILTER,
        enlarge={"mode": "linear"},
        refuses="the data is not enlarged by repetition",
    )
    yield _case("one tap", IMAGE, TWICE, (3, 2, 1, 1), refuses="the phases would not need fewer multiplications")
    yield _case(
        "reflected far",
        IMAGE,
        TWICE,
        FILTER,
        pad=(2, 1, 1, 1),
        pad_mode="reflect",
        refuses="the reflection reaches beyond one repeated element",
    )
    yield _case(
        "zeros around ones",
        IMAGE,
        TWICE,
        FILTER,
        pad=(1, 1, 1, 1),
        value=1.0,
        pads=(1, 1, 1, 1),
        refuses="zeros lie around another border",
    )
    yield _case(
        "cropped and padded again",
        IMAGE,
        TWICE,
        FILTER,
        pad=(-1, 0, 1, 1),
        pads=(1, 1, 1, 1),
        refuses="a negative pad crops what a border may then lie on",
    )
    yield _case("nothing comes out", (1, 2, 1, 1), TWICE, FILTER, refuses="the output is empty")
    yield _case("another stride", IMAGE, TWICE, FILTER, strides=(3, 3), refuses="the stride does not divide the scale")

    def channels(g: CaseBuilder) -> ir.Value:
        full = filled(g, resize(g, g.input(*IMAGE), [1, 1, 2, 2]), [0, 1, 0, 0], [0, 0, 0, 0])
        return g.Conv(full, g.weight(3, 3, 3, 3))

    yield Case("a channel of zeros", channels, refuses="the batch or the channels are padded")


@replace_upsampled_conv_with_phase_convs.samples
def samples(random: Random) -> Case:
    rank, groups = random.choice((1, 2, 2, 3)), random.choice((1, 1, 2))
    spatial: list[int | str] = [random.randint(1, 4) for _ in range(rank)]
    if random.random() < 0.3:
        spatial = [*"HWD"[:rank]]
    scales = [random.choice((1, 2, 2, 3)) for _ in range(rank)]
    mode = random.choice(("", "", "constant", "edge", "reflect", "wrap"))
    inner = random.randint(2, 3)
    attributes: dict[str, Any] = {
        "strides": [random.choice((1, 1, scale)) for scale in scales],
        "dilations": [random.choice((1, 1, 1, 2, 3)) for _ in range(rank)],
        "group": groups,
    }
    if not mode or random.random() < 0.2:
        attributes |= random.choice(
            (
                {"auto_pad": "SAME_UPPER"},
                {"auto_pad": "SAME_LOWER"},
                {"pads": [random.randint(0, 4) for _ in range(2 * rank)]},
            )
        )
    nearest = random.choice(({}, {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}))
    return _case(
        f"{spatial} {scales} {mode} {attributes} {nearest}",
        (random.choice((1, 2, "N")), groups * inner, *spatial),
        scales,
        (groups * random.randint(1, 2), inner, *(random.randint(2, 5) if scale > 1 else 1 for scale in scales)),
        bias=random.random() < 0.5,
        pad=[random.randint(0, 2) for _ in range(2 * rank)] if mode else (),
        pad_mode=mode,
        value=random.choice((0.0, 0.0, 1.5)) if mode == "constant" else 0.0,
        enlarge=nearest,
        seed=random.getrandbits(32),
        **attributes,
    )
