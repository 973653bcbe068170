"""Replace a chain of equally dilated convolutions with a dense chain over the phases: rearranged once, not each time.

Law    batch_to_space(space_to_batch(x)) = x, and operators that treat each element or channel alone go through both; so
       between two convolutions of one dilation d the rearrangements cancel. A phase is padded alike everywhere only
       where d divides the length and the pads: then p zeros of the whole are p/d of each phase.
Why    Of the ways to make a dilated convolution dense this alone pays the rearrangement back: the dilated stages of
       DRN, DeepLab, CAN and WaveNet are such chains.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from random import Random
from typing import Any

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.elementwise import ELEMENTWISE, Elementwise
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.rearranging import batch_to_space, space_to_batch
from graphc_passes.nodes.windows import WindowedConv

Step = WindowedConv | Elementwise


@rewrite("Conv", numerics="reassociates")
def replace_dilated_chain_with_space_to_batch(root: View, op: Tape) -> ir.Value:
    last = WindowedConv.read(root)
    blocks = [window.dilation for window in last.windows]
    if prod(blocks) == 1:
        raise Refusal("it is not dilated")
    if not _keeps_phases_alike(last, blocks):
        raise Refusal("it has a stride, or pads that are no multiple of the dilation")
    if any(_leads_on(use.node, blocks, root.opset) for use in root.node.outputs[0].uses()):
        raise Refusal("the chain goes on behind it")
    steps: list[Step] = [last]
    for node in _before(root.node, blocks, root.opset):
        steps.append(_read(root.made_by(steps[-1].data, node.op_type), len(blocks)))
    first = steps[-1]
    if first is last or not isinstance(first, WindowedConv):
        raise Refusal("no convolution of the same dilation leads to it")
    if not all(window.known and window.axis.input % window.dilation == 0 for window in first.windows):
        raise Refusal("the dilation does not divide the size, or that is not known")
    data = space_to_batch(op, first.data, first.in_channels, blocks)
    for step in reversed(steps):
        data = step.remade(op, data) if isinstance(step, Elementwise) else _of_phases(op, step, data, blocks)
    return batch_to_space(op, data, last.out_channels, blocks)


def _of_phases(op: Tape, conv: WindowedConv, data: ir.Value, blocks: Sequence[int]) -> ir.Value:
    sides = zip(conv.windows, blocks, strict=True)
    pads = [(window.begin // block, window.pads[1] // block) for window, block in sides]
    return op.Conv(data, conv.filter, conv.bias, group=conv.groups, pads=both_sides(pads))


def _read(view: View, axes: int) -> Step:
    return WindowedConv.read(view) if view.op_type == "Conv" else Elementwise.read(view, 2 + axes)


def _keeps_phases_alike(conv: WindowedConv, blocks: Sequence[int]) -> bool:
    """Whether a convolution of the whole is a dense one of each phase."""
    return len(conv.windows) == len(blocks) and all(
        window.stride == 1
        and (window.dilation == block or window.taps == 1)
        and window.begin % block == 0
        and window.pads[1] % block == 0
        for window, block in zip(conv.windows, blocks, strict=True)
    )


def _step(node: ir.Node | None, blocks: Sequence[int], opset: int) -> Step | None:
    """What the node is in the chain, None where it is nothing of the kind. It is looked at, and not matched."""
    if node is None or node.domain or node.op_type not in ("Conv", *ELEMENTWISE):
        return None
    try:
        found = _read(View(node, opset), len(blocks))
    except Refusal:
        return None
    return None if isinstance(found, WindowedConv) and not _keeps_phases_alike(found, blocks) else found


def _is_dilated(step: Step, blocks: Sequence[int]) -> bool:
    return isinstance(step, WindowedConv) and any(
        window.taps > 1 for window, block in zip(step.windows, blocks, strict=True) if block > 1
    )


def _before(node: ir.Node, blocks: Sequence[int], opset: int) -> list[ir.Node]:
    """The chain that leads to a node, backwards, up to the first dilated convolution."""
    found: list[ir.Node] = []
    longest = 0
    step = _step(node, blocks, opset)
    while step is not None:
        before = step.data.producer()
        step = _step(before, blocks, opset) if before is not None and before.graph is node.graph else None
        if before is not None and step is not None:
            found.append(before)
            longest = len(found) if _is_dilated(step, blocks) else longest
    return found[:longest]


def _leads_on(node: ir.Node, blocks: Sequence[int], opset: int) -> bool:
    """Whether the chain, begun before this node, reaches another dilated convolution."""
    step = _step(node, blocks, opset)
    if step is None or _is_dilated(step, blocks):
        return step is not None
    return any(_leads_on(use.node, blocks, opset) for use in node.outputs[0].uses())


def _chain(
    g: CaseBuilder,
    *,
    x: tuple[int | str, ...] = (1, 2, 6, 4),
    dilations: Sequence[int] = (3, 2),
    taps: Sequence[int] = (2, 3),
    pads: Sequence[Sequence[int]] = ((3, 2, 0, 2), (0, 2, 3, 2)),
    between: Sequence[str] = (),
    **attributes: Any,
) -> ir.Value:
    """One convolution for each entry of `pads`, those operators behind each."""
    data = g.input(*x)
    for widths in pads:
        data = g.Conv(data, g.weight(2, 2, *taps), g.weight(2), dilations=dilations, pads=widths or None, **attributes)
        for op_type in between:
            data = _between(g, data, op_type, len(taps))
    return data


def _between(g: CaseBuilder, data: ir.Value, op_type: str, axes: int) -> ir.Value:
    if op_type == "Conv":
        return g.Conv(data, g.weight(2, 2, *[1] * axes))
    more = [g.weight(2, *[1] * axes)] if op_type in ("Add", "Mul", "PRelu") else []
    return g.record(op_type, data, *more)


@replace_dilated_chain_with_space_to_batch.cases
def cases() -> Iterator[Case]:
    yield Case("two, as large as before", _chain)
    yield Case("an activation and a bias between", partial(_chain, between=("PRelu", "Add")))
    causal = partial(_chain, x=("N", 2, 6), dilations=(2,), taps=(2,))
    yield Case("three, causal, pointwise between", partial(causal, pads=((2, 0),) * 3, between=("Conv", "Tanh")))
    dense = partial(_chain, x=(1, 2, 3, 6), dilations=(1, 2), taps=(2, 2))
    yield Case("not padded, a dense axis", partial(dense, pads=((0, 0, 1, 0), (0,) * 4)))
    for name, build, reason in (
        ("one", partial(_chain, pads=((3, 2, 0, 2),)), "no convolution of the same dilation leads to it"),
        (
            "a size that the dilation does not divide",
            partial(_chain, x=(1, 2, 6, 5)),
            "the dilation does not divide the size, or that is not known",
        ),
        (
            "a dynamic size",
            partial(_chain, x=(1, 2, 6, "W")),
            "the dilation does not divide the size, or that is not known",
        ),
        (
            "pads that differ between phases",
            partial(_chain, pads=((3, 1, 0, 3),) * 2),
            "it has a stride, or pads that are no multiple of the dilation",
        ),
        (
            "a stride",
            partial(_chain, strides=(1, 2)),
            "it has a stride, or pads that are no multiple of the dilation",
        ),
        ("dense", partial(_chain, dilations=(1, 1)), "it is not dilated"),
        ("the last of three is the root", _chain_to_the_last, "the chain goes on behind it"),
    ):
        yield Case(name, build, refuses=reason)


def _chain_to_the_last(g: CaseBuilder) -> ir.Value:
    """The second convolution waits for the third, which does not fit the size."""
    return _chain(g, x=(1, 2, 5, 4), pads=((3, 2, 0, 2),) * 3)


@replace_dilated_chain_with_space_to_batch.samples
def samples(random: Random) -> Case:
    rank = random.choice((1, 2, 2, 3))
    dilations = [random.randint(1, 3) for _ in range(rank)]
    taps = [random.randint(1, 3) for _ in range(rank)]
    sizes = [dilation * random.randint(1, 3) for dilation in dilations]
    if random.random() < 0.1:
        sizes[0] += 1
    widths = [dilation * random.randint(0, 2) for dilation in dilations * 2]
    between = random.sample(("Relu", "Add", "Mul", "PRelu", "Sigmoid", "Conv"), random.randint(0, 2))
    count, batch = random.randint(2, 3), random.choice((1, 2, "N"))
    build = partial(
        _chain, x=(batch, 2, *sizes), dilations=dilations, taps=taps, pads=[widths] * count, between=between
    )
    return Case(
        f"{count} of {taps} d={dilations} over {sizes} pads={widths} {between}", build, seed=random.getrandbits(32)
    )
