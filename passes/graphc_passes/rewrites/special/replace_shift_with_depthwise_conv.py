"""Replace channels that are shifted in space, each group its own way, with one depthwise convolution of single taps.

Law    y[n, c, o] = x[n, c, o + shift_c], 0 outside = Σ_t [t = shift_c]·x̄[n, c, o + t]
Why    the shift operation (Wu et al., CVPR 2018; in time: Lin et al., ICCV 2019) arrives as a Slice and a Pad for
       each direction and a Concat; as a convolution it is one node, which folds into the 1 × 1 convolution behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.padding import Padding
from graphc_passes.nodes.slicing import read_slice

FLOATS = (ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.DOUBLE)
NOWHERE = -1  # what a zero of a Pad is read from


@rewrite("Concat", numerics="exact")
def replace_shift_with_depthwise_conv(root: View, op: Tape, *, most_taps: int = 49) -> ir.Value:
    parts = [_traced(root, value) for value in root.inputs()]
    data = parts[0][0]
    require(all(source is data for source, _ in parts), "the parts are not of one tensor")
    if data.dtype not in FLOATS:
        raise Refusal("it has no convolution of that type")
    sizes = _sizes(data)
    if root.attr("axis") not in (1, 1 - len(sizes) - 1):
        raise Refusal("the parts do not lie side by side along the channels")
    reads = [_reads(steps, sizes) for _, steps in parts]
    order = np.concatenate([each[0] for each in reads])
    require(np.array_equal(order, np.arange(sizes[0])), "the channels are not all there in their order")
    shifts = np.array([[_shift(line, size) for line, size in zip(each[1:], sizes[1:], strict=True)] for each in reads])
    if not shifts.any():
        raise Refusal("nothing is shifted")
    outputs = [len(line) for line in reads[0][1:]]
    first = np.minimum(shifts.min(0), 0)
    last = np.maximum(shifts.max(0), np.subtract(sizes[1:], outputs))
    kernel = last - first + 1
    require(
        prod(kernel.tolist()) <= most_taps,
        "the shifts lie too far apart",
        conservative="the filter would be larger than what it replaces",
    )
    filter_ = np.zeros((sizes[0], 1, *kernel))
    for lines, shift in zip(reads, shifts - first, strict=True):
        filter_[(lines[0], 0, *shift)] = 1
    ends = np.add(outputs, last) - sizes[1:]
    return op.Conv(
        data,
        op.constant(filter_, like=data, name="weight"),
        group=sizes[0],
        pads=[*(-first).tolist(), *ends.tolist()],
    )


def _traced(root: View, value: ir.Value | None) -> tuple[ir.Value, list[View]]:
    """(the tensor behind all Slices and Pads, those from the last on)."""
    steps: list[View] = []
    assert value is not None
    while (maker := value.producer()) is not None and maker.op_type in ("Slice", "Pad") and not maker.domain:
        steps.append(root.made_by(value, "Slice", "Pad"))
        value = steps[-1].required("data")
    return value, steps


def _sizes(data: ir.Value) -> list[int]:
    """Channels and spatial sizes."""
    sizes = list(data.shape or ())[1:]
    known = [size for size in sizes if isinstance(size, int) and size]
    if len(known) != len(sizes) or len(known) < 2:
        raise Refusal("a size other than the batch is not known")
    return known


def _reads(steps: Sequence[View], sizes: Sequence[int]) -> list[np.ndarray]:
    """For channels and each spatial axis, which index of the source each index of the result reads, or NOWHERE."""
    lines = [np.arange(size) for size in sizes]
    for step in reversed(steps):
        if step.op_type == "Slice":
            cuts = read_slice(step)
            if 0 in cuts:
                raise Refusal("it cuts the batch")
            lines = [line[cuts[axis].of(len(line))] if axis in cuts else line for axis, line in enumerate(lines, 1)]
            continue
        padding = Padding.read(step)
        require(padding.mode == "constant" and padding.value == 0, "the border is not of zeros")
        if padding.crops or padding.before[0] or padding.after[0]:
            raise Refusal("the Pad cuts, or pads the batch")
        widths = list(zip(padding.before[1:], padding.after[1:], strict=True))
        lines = [np.pad(line, width, constant_values=NOWHERE) for line, width in zip(lines, widths, strict=True)]
    return lines


def _shift(line: np.ndarray, size: int) -> int:
    """How far an axis is shifted. Raises Refusal when it is not."""
    inside = np.flatnonzero(line != NOWHERE)
    if not inside.size:
        raise Refusal("a part is all zeros")
    shift = int(line[inside[0]] - inside[0])
    expected = np.arange(len(line)) + shift
    expected[(expected < 0) | (expected >= size)] = NOWHERE
    require(np.array_equal(line, expected), "a part loses elements, or is no shift")
    return shift


def _shifted(
    g: CaseBuilder,
    x: tuple[int | str, ...],
    shifts: Sequence[Sequence[int]],
    together: bool = False,
    fill: float = 0,
    lost: int = 0,
    reverse: bool = False,
    other: bool = False,
    dtype: ir.DataType | None = None,
) -> ir.Value:
    """As many equal groups of channels as there are shifts; a Slice and a Pad for each, or one Pad for all."""
    data, rank, width = g.input(*x, dtype=dtype), len(shifts[0]), int(x[1]) // len(shifts)
    second = g.input(*x) if other else data
    far = max((abs(step) for shift in shifts for step in shift), default=0)
    axes, parts = g.constant(list(range(1, 2 + rank))), []
    sizes = [int(size) for size in x[2:]]
    frame = g.Pad(data, g.constant([0, 0, *[far] * rank] * 2), g.constant(fill, like=data)) if together else None
    for index, shift in enumerate(shifts):
        begin, end = index * width, (index + 1) * width
        if frame is not None:
            starts, stops = [far + s for s in shift], [far + s + size for s, size in zip(shift, sizes, strict=True)]
            parts.append(g.Slice(frame, g.constant([begin, *starts]), g.constant([end, *stops]), axes))
            continue
        starts, stops = (
            [max(0, s) + lost for s in shift],
            [size + min(0, s) for s, size in zip(shift, sizes, strict=True)],
        )
        cut = g.Slice(data if index else second, g.constant([begin, *starts]), g.constant([end, *stops]), axes)
        before, after = [max(0, -s) + lost for s in shift], [max(0, s) for s in shift]
        pads = [0, 0, *before, 0, 0, *after]
        parts.append(g.Pad(cut, g.constant(pads), g.constant(fill, like=data)) if any(pads) else cut)
    return g.Concat(*(reversed(parts) if reverse else parts), axis=1)


@replace_shift_with_depthwise_conv.cases
def cases() -> Iterator[Case]:
    case = partial(partial, _shifted)
    five, x = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)), (1, 5, 4, 5)
    yield Case("five directions", case(x=x, shifts=five))
    yield Case("five directions of one Pad, any batch", case(x=("N", 5, 4, 5), shifts=five, together=True))
    yield Case("1-D, along time, two of a group", case(x=(2, 6, 5), shifts=((1,), (-1,), (0,))))
    yield Case("one direction", case(x=(1, 4, 4, 4), shifts=((2, 0), (1, 0))))
    yield Case("3-D", case(x=(1, 2, 3, 3, 3), shifts=((1, 0, -1), (0, 1, 0))))
    yield Case("too far", case(x=(1, 2, 4, 5), shifts=((3, 4), (-3, -4))), refuses="the shifts lie too far apart")
    yield Case("a border of ones", case(x=x, shifts=five, together=True, fill=1), refuses="the border is not of zeros")
    yield Case("a row less", case(x=x, shifts=five, lost=1), refuses="a part loses elements, or is no shift")
    yield Case(
        "in another order",
        case(x=x, shifts=five, reverse=True),
        refuses="the channels are not all there in their order",
    )
    yield Case("of two tensors", case(x=x, shifts=five, other=True), refuses="the parts are not of one tensor")
    yield Case("nothing", case(x=(1, 2, 4, 4), shifts=((0, 0), (0, 0))), refuses="nothing is shifted")
    yield Case(
        "integers",
        case(x=x, shifts=five, together=True, dtype=ir.DataType.INT64),
        refuses="it has no convolution of that type",
    )


@replace_shift_with_depthwise_conv.samples
def samples(random: Random) -> Case:
    rank, groups = random.choice((1, 2, 2, 3)), random.randint(1, 4)
    sizes = [random.randint(3, 6) for _ in range(rank)]
    shifts = [[random.randint(-2, 2) for _ in range(rank)] for _ in range(groups)]
    x = (random.choice((1, 2, "N")), groups * random.randint(1, 2), *sizes)
    together = random.random() < 0.5
    build = partial(_shifted, x=x, shifts=shifts, together=together)
    return Case(f"{x} {shifts} together={together}", build, seed=random.getrandbits(32), options={"most_taps": 125})
