"""Replace convolutions between a space-to-batch and a batch-to-space with dilated ones, and take both away.

Law    batch_to_space(conv(space_to_batch(x, B), dilation D, pads P)) = conv(x, dilation B·D, pads B·P)    for stride 1
       A Pad with zeros in front goes into the first pads, a Slice behind is taken off the last ones; what cannot go
       there stays. With a stride the phases would be read out of turn, and phases that come back in another order
       than they went are another function.
Why    TensorFlow writes dilated convolutions this way, and its exporters keep it: five nodes, four copies. OpenVINO
       and TVM forget pads and strides of the inner convolution when they undo it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from math import prod
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.elementwise import ELEMENTWISE, Elementwise
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.padding import without_zeros
from graphc_passes.nodes.rearrangements import Part, Parts, Rearrangement, simplest
from graphc_passes.nodes.rearranging import batch_to_space, crop, space_to_batch
from graphc_passes.nodes.slicing import Cut, read_slice, sliced
from graphc_passes.nodes.windows import WindowedConv

Pairs = list[tuple[int, int]]  # (begin, end) of each spatial axis


@rewrite("Slice", "Reshape", numerics="reassociates")
def replace_space_to_batch_conv_with_dilated_conv(root: View, op: Tape) -> ir.Value:
    last = root if root.op_type == "Reshape" else root.producer("data", "Reshape")
    if last is root and [use.node.op_type for use in root.node.outputs[0].uses()] == ["Slice"]:
        raise Refusal("the Slice behind it is the end")
    there = Rearrangement.read(last)
    steps = _steps(root, there.source, rank=len(there.axes))
    here = Rearrangement.read(root.made_by(steps[-1].data, "Reshape"))
    blocks, phases = _blocks(here)
    require(there.axes == _back(there, phases), "the phases come back in another order")
    cropped = [(0, 0)] * len(blocks) if last is root else _cropped(root, last.node.outputs[0])
    data, padded = here.source, [(0, 0)] * len(blocks)
    if isinstance(steps[-1], WindowedConv):
        data, padded = without_zeros(root, data, len(blocks))
    convs = [step for step in steps if isinstance(step, WindowedConv)]
    for step in reversed(steps):
        if isinstance(step, Elementwise):
            data = step.remade(op, data)
            continue
        require(all(window.stride == 1 for window in step.windows), "a convolution between has a stride")
        pads = _plus(_times(blocks, step), padded) if step is steps[-1] else _times(blocks, step)
        taken = _least(pads, cropped) if step is convs[0] else [(0, 0)] * len(blocks)
        cropped = _minus(cropped, taken)
        data = _dilated(op, step, data, blocks, _minus(pads, taken))
    return crop(op, data, [begin for begin, _ in cropped], [end for _, end in cropped])


def _steps(root: View, value: ir.Value, rank: int) -> list[WindowedConv | Elementwise]:
    """What lies between the rearrangements, backwards. Raises Refusal where no convolution is among it."""
    found: list[WindowedConv | Elementwise] = []
    while (node := value.producer()) is not None and node.op_type in ("Conv", *ELEMENTWISE):
        view = root.made_by(value, node.op_type)
        found.append(WindowedConv.read(view) if node.op_type == "Conv" else Elementwise.read(view, rank))
        value = found[-1].data
    if not any(isinstance(step, WindowedConv) for step in found):
        raise Refusal("no convolution lies between rearrangements")
    return found


def _blocks(here: Rearrangement) -> tuple[list[int], Parts]:
    """The block of each axis, and what the new batch is made of, if this is a space-to-batch. Raises Refusal."""
    low = [axis[0].size if axis else 1 for axis in here.axes[2:]]
    blocks = [size // length for size, length in zip(here.sizes[2:], low, strict=True)]
    own = {Part(0, here.sizes[0]), *(Part(2 + axis, block) for axis, block in enumerate(blocks))}
    expected = [(Part(1, here.sizes[1]),), *((Part(2 + axis, low[axis], block),) for axis, block in enumerate(blocks))]
    is_batched = set(here.axes[0]) == {part for part in own if part.size > 1}
    if not is_batched or list(here.axes[1:]) != [simplest(axis) for axis in expected]:
        raise Refusal("it is no space-to-batch")
    return blocks, here.axes[0]


def _back(there: Rearrangement, phases: Parts) -> tuple[Parts, ...]:
    """The axes of the batch-to-space that puts `phases` back where they come from."""
    axes: list[list[Part]] = [[Part(axis, size)] if axis else [] for axis, size in enumerate(there.sizes)]
    batch = there.sizes[0] // prod(phase.size for phase in phases if phase.axis)
    stride = 1
    for phase in reversed(phases):
        size = phase.size if phase.axis else batch
        axes[phase.axis].append(Part(0, size, stride))
        stride *= size
    return tuple(simplest(axis) for axis in axes)


def _cropped(root: View, data: ir.Value) -> Pairs:
    """How much the Slice takes off both sides of each axis. Raises Refusal when it takes anything else."""
    cuts, shape = read_slice(root), data.shape
    found = []
    for axis in range(len(shape or ())):
        size = shape[axis] if shape is not None else None
        cut = cuts.get(axis)
        if cut is None or (axis < 2 and cut.whole):
            found.append((0, 0))
            continue
        if axis < 2 or not isinstance(size, int):
            raise Refusal("the Slice takes part of the batch, the channels or an unknown size")
        kept = cut.of(size)
        if cut.step != 1 or not kept:
            raise Refusal("the Slice does more than to crop")
        found.append((kept.start, size - kept.stop))
    return found[2:]


def _dilated(op: Tape, conv: WindowedConv, data: ir.Value, blocks: Sequence[int], pads: Pairs) -> ir.Value:
    return op.Conv(
        data,
        conv.filter,
        conv.bias,
        group=conv.groups,
        strides=[window.stride for window in conv.windows],
        dilations=[window.dilation * block for window, block in zip(conv.windows, blocks, strict=True)],
        pads=both_sides(pads),
    )


def _times(blocks: Sequence[int], conv: WindowedConv) -> Pairs:
    sides = zip(blocks, (window.pads for window in conv.windows), strict=True)
    return [(block * begin, block * end) for block, (begin, end) in sides]


def _plus(first: Pairs, second: Pairs) -> Pairs:
    return [(a + c, b + d) for (a, b), (c, d) in zip(first, second, strict=True)]


def _minus(first: Pairs, second: Pairs) -> Pairs:
    return [(a - c, b - d) for (a, b), (c, d) in zip(first, second, strict=True)]


def _least(first: Pairs, second: Pairs) -> Pairs:
    return [(min(a, c), min(b, d)) for (a, b), (c, d) in zip(first, second, strict=True)]


def _between(
    g: CaseBuilder,
    *,
    x: tuple[int | str, ...] = (2, 2, 6, 4),
    blocks: Sequence[int] = (2, 2),
    pads: Sequence[Sequence[int]] = (),
    value: float = 0.0,
    taps: Sequence[int] = (2, 1),
    convs: int = 1,
    after: Sequence[str] = (),
    cuts: Mapping[int, Cut] | None = None,
    exchanged: bool = False,
    attributes: Mapping[str, Any] | None = None,
) -> ir.Value:
    """Pad, space-to-batch, convolutions with those operators after each, batch-to-space, Slice."""
    data = g.input(*x)
    if pads:
        data = g.Pad(data, g.constant([0, 0, *pads[0], 0, 0, *pads[1]]), g.constant(value, like=data))
    data = space_to_batch(g, data, 2, blocks)
    for _ in range(convs):
        data = g.Conv(data, g.weight(2, 2, *taps), g.weight(2), **attributes or {})
        for op_type in after:
            data = g.record(op_type, data, *[g.weight(2, *[1] * len(taps))] * (op_type == "Mul"))
    back = _exchanged(g, data, blocks) if exchanged else batch_to_space(g, data, 2, blocks)
    return sliced(g, back, cuts or {})


def _exchanged(g: CaseBuilder, data: ir.Value, blocks: Sequence[int]) -> ir.Value:
    """A batch-to-space whose phases lie in the order of the last axis first."""
    axes, low = range(len(blocks)), [size for size in (data.shape or ())[2:] if isinstance(size, int)]
    split = g.Reshape(data, g.constant([*reversed(blocks), -1, 2, *low]))
    order = [each for axis in axes for each in (len(axes) + 2 + axis, len(axes) - 1 - axis)]
    moved = g.Transpose(split, perm=[len(axes), len(axes) + 1, *order])
    return g.Reshape(moved, g.constant([-1, 2, *(size * block for size, block in zip(low, blocks, strict=True))]))


@replace_space_to_batch_conv_with_dilated_conv.cases
def cases() -> Iterator[Case]:
    yield Case("plain", _between)
    padded = partial(_between, x=(1, 2, 5, 4), pads=((2, 2), (3, 2)), taps=(3, 2))
    yield Case("padded and cropped", partial(padded, cuts={2: Cut(0, -1), 3: Cut(1, 6)}))
    yield Case("cropped more than padded", partial(_between, cuts={2: Cut(1, 4)}))
    yield Case("a dynamic batch", partial(_between, x=("N", 2, 4, 6), blocks=(2, 3), after=("Relu", "Mul")))
    yield Case(
        "pads and dilation inside",
        partial(_between, taps=(2, 2), attributes={"dilations": [2, 1], "pads": [1, 0, 1, 1]}),
    )
    chain = partial(_between, x=(1, 2, 6), blocks=(3,), taps=(2,), after=("Tanh",))
    yield Case("two convolutions, 1-D", partial(chain, pads=((3,), (0,)), convs=2))
    yield Case("3-D, one axis dense", partial(_between, x=(1, 2, 2, 3, 4), blocks=(2, 1, 2), taps=(1, 2, 2)))
    yield Case("a Pad that is no padding", partial(padded, value=1.0))
    for name, build, reason in (
        (
            "a stride inside",
            partial(_between, attributes={"strides": [1, 2]}, taps=(1, 1)),
            "a convolution between has a stride",
        ),
        (
            "phases exchanged",
            partial(_between, exchanged=True, x=(2, 2, 6, 6), blocks=(3, 2), taps=(1, 1)),
            "the phases come back in another order",
        ),
        ("no convolution", partial(_between, convs=0), "no convolution lies between rearrangements"),
        ("a Slice with steps", partial(_between, cuts={3: Cut(0, 4, 2)}), "the Slice does more than to crop"),
        (
            "some channels",
            partial(_between, cuts={1: Cut(0, 1)}),
            "the Slice takes part of the batch, the channels or an unknown size",
        ),
        ("the Slice is the root", partial(_between, cuts={1: Cut(0, 1)}), "the Slice behind it is the end"),
    ):
        yield Case(name, build, refuses=reason)


@replace_space_to_batch_conv_with_dilated_conv.samples
def samples(random: Random) -> Case:
    rank = random.choice((1, 2, 2, 3))
    blocks = [random.randint(1, 3) for _ in range(rank)]
    lows, taps = ([random.randint(1, most) for _ in range(rank)] for most in (3, 2))
    front = [random.randint(0, 3) for _ in range(rank)]
    sizes = [random.randint(1, block * low) for block, low in zip(blocks, lows, strict=True)]
    behind = [
        -(size + begin) % block + random.choice((0, 0, block))
        for size, begin, block in zip(sizes, front, blocks, strict=True)
    ]
    dilations = [random.choice((1, 1, 2)) for _ in range(rank)]
    least = [dilation * (tap - 1) for dilation, tap in zip(dilations, taps, strict=True)]  # so that no size is used up
    attributes = {
        "pads": [*least, *(random.randint(0, 1) for _ in range(rank))],
        "dilations": dilations,
        "strides": [random.choice((1, 1, 1, 1, 2)) for _ in range(rank)],
    }
    build = partial(
        _between,
        x=(random.choice((1, 2, "N")), 2, *sizes),
        blocks=blocks,
        pads=(front, behind),
        taps=taps,
        convs=random.randint(1, 2),
        after=random.sample(("Relu", "Mul"), random.randint(0, 2)),
        cuts={
            2 + axis: Cut(random.randint(0, 2), -random.randint(1, 2)) for axis in range(rank) if random.random() < 0.3
        },
        exchanged=random.random() < 0.1,
        value=random.choice((0.0, 0.0, 0.0, 1.0)),
        attributes=attributes,
    )
    return Case(
        f"{sizes} blocks={blocks} pads={front},{behind} taps={taps} {attributes}", build, seed=random.getrandbits(32)
    )
