"""Fuse convolutions that read one value in the same way into one, and split its outputs.

Law    (conv(x, w1, b1), conv(x, w2, b2), ...) = split(conv(x, [w1, w2, ...], [b1, b2, ...]))      along the channels
Why    The value is read once instead of by each, and one wide product replaces narrow ones: the reductions of an
       Inception block (Szegedy et al., CVPR 2015). Taking the outputs apart copies them, so it pays for narrow ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.reshaping import split
from graphc_passes.nodes.siblings import Sibling, is_sibling, merged
from graphc_passes.sampling.convolutions import draw_conv


@rewrite("Conv", numerics="reassociates", improves=("bytes",))
def fuse_convs_of_one_input(root: View, op: Tape) -> dict[ir.Value, ir.Value]:
    first = Sibling.read(root)
    siblings = [first, *(Sibling.read(root.beside(node)) for node in _others(root, first))]
    sizes = [each.out_channels for each in siblings]
    require(
        2 * sum(sizes) < (len(siblings) - 1) * first.read_for_one,
        "the copies of the outputs outweigh what is read less",
        conservative="it would be slower",
    )
    parts = split(op, merged(op, siblings), sizes)
    return {each.view.node.outputs[0]: part for each, part in zip(siblings, parts, strict=True)}


def _others(root: View, first: Sibling) -> list[ir.Node]:
    """The convolutions like the first that come after it. Raises Refusal when there are none, or one before it."""
    found = {use.node for use in first.data.uses() if is_sibling(use.node, first)}
    if len(found) < 2:
        raise Refusal("no other convolution reads the value in this way")
    assert root.node.graph is not None
    ordered = [node for node in root.node.graph if node in found]
    if ordered[0] is not root.node:
        raise Refusal("another of the convolutions comes before it")
    return ordered[1:]


def _case(
    name: str,
    x: tuple[int | str, ...],
    *filters: tuple[int, ...],
    biased: tuple[int, ...] = (),
    refuses: str | None = None,
    opset: int = 20,
    **attributes: object,
) -> Case:
    """Convolutions of one value, those in `biased` with a bias."""

    def build(g: CaseBuilder) -> tuple[ir.Value, ...]:
        data = g.input(*x)
        return tuple(
            g.Relu(g.Conv(data, g.weight(*shape), g.weight(shape[0]) if index in biased else None, **attributes))
            for index, shape in enumerate(filters)
        )

    return Case(name, build, refuses=refuses, opset=opset)


@fuse_convs_of_one_input.cases
def cases() -> Iterator[Case]:
    yield _case("three 1×1", (2, 6, 5, 4), (1, 6, 1, 1), (2, 6, 1, 1), (1, 6, 1, 1))
    yield _case(
        "padded, strided and dilated, one with a bias",
        (1, 6, 7, 8),
        (2, 6, 3, 2),
        (3, 6, 3, 2),
        biased=(1,),
        strides=(2, 1),
        dilations=(1, 2),
        pads=(1, 0, 1, 2),
    )
    yield _case("1-D, opset 9", (1, 6, 8), (1, 6, 3), (1, 6, 3), biased=(0, 1), auto_pad="SAME_LOWER", opset=9)
    yield _case("3-D", (1, 6, 3, 4, 3), (1, 6, 2, 1, 2), (1, 6, 2, 1, 2))
    yield _case("three, a dynamic size", ("N", 6, "H", "W"), (1, 6, 1, 1), (1, 6, 1, 1), (1, 6, 1, 1))
    yield Case("two of three, with one of another kernel between", _among_others)
    yield Case("their outputs meet again", _gated)
    yield _case(
        "as many outputs as inputs",
        (1, 4, 4, 4),
        (4, 4, 1, 1),
        (4, 4, 1, 1),
        refuses="the copies of the outputs outweigh what is read less",
    )
    yield _case(
        "two, a dynamic size",
        ("N", 6, "H", "W"),
        (1, 6, 1, 1),
        (1, 6, 1, 1),
    )
    yield _case(
        "other kernels",
        (1, 6, 4, 4),
        (1, 6, 1, 1),
        (1, 6, 1, 2),
        refuses="no other convolution reads the value in this way",
    )
    yield _case("groups", (1, 6, 4, 4), (2, 3, 1, 1), (2, 3, 1, 1), group=2, refuses="the convolution has groups")
    yield Case("a chain", _chain, refuses="no other convolution reads the value in this way")


def _among_others(g: CaseBuilder) -> tuple[ir.Value, ...]:
    x = g.input(1, 8, 5, 4)
    shapes = ((1, 8, 1, 1), (2, 8, 3, 3), (2, 8, 1, 1))
    return tuple(g.Conv(x, g.weight(*shape)) for shape in shapes)


def _gated(g: CaseBuilder) -> ir.Value:
    """Features times a gate (Dauphin et al., ICML 2017)."""
    x = g.input(1, 9, 5, 4)
    return g.Mul(g.Conv(x, g.weight(2, 9, 3, 3)), g.Sigmoid(g.Conv(x, g.weight(2, 9, 3, 3), g.weight(2))))


def _chain(g: CaseBuilder) -> ir.Value:
    return g.Conv(g.Conv(g.input(1, 6, 4, 4), g.weight(6, 6, 1, 1)), g.weight(1, 6, 1, 1))


@fuse_convs_of_one_input.samples
def samples(random: Random) -> Case:
    drawn = draw_conv(random, groups=(1, 1, 1, 1, 2))
    outputs = [random.randint(1, 3) for _ in range(random.randint(1, 3))]
    channels = int(drawn.data[1]) * (1 if drawn.attributes["group"] > 1 else random.choice((1, 3, 5)))
    drawn = replace(
        drawn,
        data=(drawn.data[0], channels, *drawn.data[2:]),
        filter=(drawn.filter[0], channels // drawn.attributes["group"], *drawn.filter[2:]),
    )
    opset, with_other = random.choice((9, 12, 13, 20, 21)), random.random() < 0.3

    def build(g: CaseBuilder) -> tuple[ir.Value, ...]:
        x = g.input(*drawn.data)
        made = [drawn.of(g, x)]
        group = drawn.attributes["group"]
        made += [
            replace(drawn, filter=(count * group, *drawn.filter[1:]), bias=count > 1).of(g, x) for count in outputs
        ]
        if with_other:
            made.append(g.Conv(x, g.weight(1, channels, *[1] * (len(drawn.filter) - 2))))
        return tuple(made)

    return Case(f"{outputs} {drawn} opset={opset}", build, opset=opset, seed=random.getrandbits(32))
