"""Fuse convolutions of one value whose outputs are concatenated along the channels into one convolution.

Law    concat(conv(x, w1, b1), conv(x, w2, b2), ...) = conv(x, [w1, w2, ...], [b1, b2, ...])
       Neighbours in the concatenation that read the same elements; the others stay where they are.
Why    The value is read once, and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.siblings import Sibling, is_sibling, merged
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Concat", numerics="reassociates", improves=("bytes",))
def fuse_concatenated_convs(root: View, op: Tape) -> ir.Value:
    values = [value for value in root.inputs() if value is not None]
    begin, end = _run(values, root)
    siblings = [Sibling.read(root.made_by(value, "Conv")) for value in values[begin:end]]
    axis = root.attr("axis")
    if axis not in (1, 1 - siblings[0].filter.ndim):
        raise Refusal("they are not concatenated along the channels")
    made = merged(op, siblings)
    rest = [*values[:begin], made, *values[end:]]
    return op.Concat(*rest, axis=axis) if len(rest) > 1 else made


def _run(values: Sequence[ir.Value], root: View) -> tuple[int, int]:
    """The first neighbours that are convolutions alike. Raises Refusal when no two are."""
    for begin, value in enumerate(values[:-1]):
        node = value.producer()
        if node is None or node.op_type != "Conv" or node.domain or node.graph is not root.node.graph:
            continue
        try:
            first = Sibling.read(View(node, root.opset))
        except Refusal:
            continue
        end = begin + 1
        while end < len(values) and is_sibling(values[end].producer(), first):
            end += 1
        if end - begin > 1:
            return begin, end
    raise Refusal("no two neighbours are convolutions that read one value in the same way")


def _joined(name: str, x: tuple[int | str, ...], *filters: tuple[int, ...], axis: int = 1, **more: object) -> Case:
    def build(g: CaseBuilder) -> ir.Value:
        data = g.input(*x)
        return g.Concat(*(g.Conv(data, g.weight(*shape)) for shape in filters), axis=axis)

    return Case(name, build, **more)  # type: ignore[arg-type] # what a Case takes


@fuse_concatenated_convs.cases
def cases() -> Iterator[Case]:
    yield _joined("three 1×1", (2, 3, 5, 4), (3, 3, 1, 1), (2, 3, 1, 1), (4, 3, 1, 1))
    yield _joined("1-D, a negative axis, a dynamic size", ("N", 3, "L"), (3, 3, 2), (2, 3, 2), axis=-2)
    yield Case("two of four, one with a bias", _among_others)
    yield _joined("opset 9", (1, 3, 5, 4), (3, 3, 1, 1), (2, 3, 1, 1), opset=9)
    yield _joined(
        "below each other",
        (1, 3, 5, 4),
        (2, 3, 1, 1),
        (2, 3, 1, 1),
        axis=2,
        refuses="they are not concatenated along the channels",
    )
    yield Case(
        "others between them",
        _interleaved,
        refuses="no two neighbours are convolutions that read one value in the same way",
    )
    yield Case(
        "one is read by another",
        _read_twice,
        refuses="it would not be cheaper here",
    )


def _among_others(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 3, 6, 5)
    attributes = {"pads": (1, 0, 1, 1), "strides": (1, 2), "dilations": (1, 1)}
    two = [g.Conv(x, g.weight(2, 3, 3, 2), g.weight(2), **attributes), g.Conv(x, g.weight(3, 3, 3, 2), **attributes)]
    other = g.Conv(x, g.weight(2, 3, 1, 1), strides=(1, 2))
    return g.Concat(g.Relu(other), *two, other, axis=1)


def _interleaved(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 3, 4, 4)
    first, second = (g.Conv(x, g.weight(2, 3, 1, 1)) for _ in range(2))
    return g.Concat(first, x, second, axis=1)


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    x = g.input(1, 3, 4, 4)
    first, second = (g.Conv(x, g.weight(2, 3, 1, 1)) for _ in range(2))
    return g.Concat(first, second, axis=1), g.Relu(first)


@fuse_concatenated_convs.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(1, 1, 1, 1, 2))
    outputs = [random.randint(1, 3) for _ in range(random.randint(1, 3))]
    opset, axis = random.choice((9, 12, 13, 20, 21)), random.choice((1, 1, 1, 1 - len(drawn.data), 2))

    def build(g: CaseBuilder) -> ir.Value:
        x, group = g.input(*drawn.data), drawn.attributes["group"]
        others = [replace(drawn, filter=(count * group, *drawn.filter[1:]), bias=count > 1) for count in outputs]
        made = [each.of(g, x) for each in (drawn, *others)]
        try:
            return g.Concat(*made, g.Relu(made[0]), axis=axis)
        except Refusal:  # other channels, concatenated along another axis
            return made[0]

    return Case(f"{outputs} axis={axis} {drawn} opset={opset}", build, opset=opset, seed=random.getrandbits(32))
