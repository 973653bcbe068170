"""Move a DepthToSpace below a pointwise operator that follows it.

Law    f(depth_to_space(x)) = depth_to_space(f(x))      f the same for every element of a channel
Why    the rearrangement comes to stand in front of the next convolution, which can absorb it (the phase domain).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, require, rewrite
from graphc_passes.nodes.stated import attributes_of

UNARY = ("Relu", "LeakyRelu", "Elu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Softplus", "Clip", "Abs", "Neg")
BINARY = ("Add", "Sub", "Mul", "Div", "PRelu")


@rewrite(*UNARY, *BINARY, numerics="reassociates")
def move_depth_to_space_below_pointwise(root: View, op: Tape) -> ir.Value:
    views = {value: _depth_to_space(root, value) for value in root.inputs() if value is not None}
    moved = next((view for view in views.values() if view is not None), None)
    if moved is None:
        raise Refusal(f"no operand of {root.op_type} comes from DepthToSpace")
    block, mode = moved.attr("blocksize"), moved.attr("mode")
    operands: list[ir.Value | None] = []
    for value in root.inputs():
        view = views[value] if value is not None else None
        if view is not None:
            same = view.attr("blocksize") == block and view.attr("mode") == mode
            require(same, "the operands are rearranged differently")
            operands.append(view.required("input"))
        elif value is None or root.op_type == "Clip":
            operands.append(value)
        else:
            operands.append(_spread(value, block, mode, op))
    attributes = attributes_of(root)
    return op.DepthToSpace(op.record(root.op_type, *operands, **attributes), blocksize=block, mode=mode)


def _depth_to_space(root: View, value: ir.Value) -> View | None:
    """The DepthToSpace that makes `value`, if one does."""
    node = value.producer()
    return root.made_by(value, "DepthToSpace") if node is not None and node.op_type == "DepthToSpace" else None


def _spread(value: ir.Value, block: int, mode: str | None, op: Tape) -> ir.Value:
    """A constant per channel, for the channels before the rearrangement. Raises Refusal for any other operand."""
    content = constant(value)
    if content is None:
        raise Refusal("an operand is neither a constant nor rearranged")
    shape = (1,) * (4 - content.ndim) + content.shape
    require(len(shape) == 4 and shape[2:] == (1, 1) and shape[0] == 1, "a constant differs over space")
    if content.size == 1:
        return value
    each = content.reshape(-1)
    spread = np.repeat(each, block**2) if mode == "CRD" else np.tile(each, block**2)
    return op.constant(spread.reshape(-1, 1, 1), like=value)


def _d2s(g: CaseBuilder, x: ir.Value, block: int = 2, mode: str = "CRD") -> ir.Value:
    return g.DepthToSpace(x, blocksize=block, mode=mode)


@move_depth_to_space_below_pointwise.cases
def cases() -> Iterator[Case]:
    yield Case("LeakyRelu", lambda g: g.LeakyRelu(_d2s(g, g.input("N", 8, "H", "W")), alpha=0.1))
    yield Case("Clip", lambda g: g.Clip(_d2s(g, g.input(1, 4, 2, 3)), g.weight(), g.weight(low=2, high=3)))
    yield Case("two operators", lambda g: g.Tanh(g.Relu(_d2s(g, g.input(1, 4, 2, 3), mode="DCR"))))
    yield Case("Mul per channel", lambda g: g.Mul(_d2s(g, g.input(1, 8, 2, 3)), g.weight(2, 1, 1)))
    yield Case("PRelu per channel, DCR", lambda g: g.PRelu(_d2s(g, g.input(1, 8, 2, 3), mode="DCR"), g.weight(2, 1, 1)))
    yield Case("Add of two", lambda g: g.Add(_d2s(g, g.input(1, 8, 2, 3)), _d2s(g, g.input(1, 8, 2, 3))))
    yield Case(
        "two orders",
        lambda g: g.Add(_d2s(g, g.input(1, 8, 2, 3)), _d2s(g, g.input(1, 8, 2, 3), mode="DCR")),
        refuses="the operands are rearranged differently",
    )
    yield Case(
        "a constant along the width",
        lambda g: g.Mul(_d2s(g, g.input(1, 8, 2, 1)), g.weight(2)),
        refuses="a constant differs over space",
    )
    yield Case(
        "something else",
        lambda g: g.Mul(_d2s(g, g.input(1, 8, 2, 3)), g.input(1, 2, 4, 6)),
        refuses="an operand is neither a constant nor rearranged",
    )


@move_depth_to_space_below_pointwise.samples
def samples(random: Random) -> Case:
    block, mode, inner = random.randint(1, 3), random.choice(("DCR", "CRD")), random.randint(1, 3)
    x = (random.choice((1, 2, "N")), inner * block**2, random.randint(1, 3), random.choice((1, 2, "W")))
    name = random.choice((*UNARY, *BINARY))
    slope = random.choice(((), (1,), (1, 1, 1), (inner, 1, 1), (1, inner, 1, 1)))
    build = partial(_sample, x=x, block=block, mode=mode, op_type=name, shape=slope if name in BINARY else None)
    return Case(f"{name} {list(x)} {block} {mode} {list(slope)}", build, seed=random.getrandbits(32))


def _sample(
    g: CaseBuilder, *, x: tuple[int | str, ...], block: int, mode: str, op_type: str, shape: tuple[int, ...] | None
) -> ir.Value:
    operand = [] if shape is None else [g.weight(*shape, low=0.5)]
    return g.record(op_type, _d2s(g, g.input(*x), block, mode), *operand)
