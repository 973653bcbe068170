"""Fold an operator whose inputs are all constants into its result.

Law    f(constants) is a constant     f deterministic; its arithmetic in float64, rounded once
Why    done once, not in every run: the weight normalisation of a trained network, the arithmetic of shapes
       (Salimans, Kingma, NeurIPS 2016; the oldest optimisation of compilers).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from random import Random

import ml_dtypes
import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, constant, evaluate_node, require, rewrite

ARITHMETIC = (
    *("Abs", "Add", "Ceil", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Floor", "HardSigmoid", "LeakyRelu", "Log"),
    *("MatMul", "Max", "Mean", "Min", "Mul", "Neg", "Pow", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin"),
    *("Softplus", "Sqrt", "Sub", "Sum", "Tan", "Tanh"),  # no Softmax: the reference has that of opset 13 at any
    *(f"Reduce{kind}" for kind in ("L1", "L2", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")),
)
MOVEMENT = (
    *("And", "Cast", "Concat", "ConstantOfShape", "DepthToSpace", "Equal", "Expand", "Flatten", "Gather"),
    *("GatherElements", "GatherND", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Pad", "Range"),
    *("Reshape", "ScatterND", "Shape", "Size", "Slice", "SpaceToDepth", "Squeeze", "Tile", "Transpose", "Trilu"),
    *("Unsqueeze", "Where", "Xor"),
)


@rewrite(*ARITHMETIC, *MOVEMENT, numerics="reassociates", improves=("nodes",))
def fold_constants(root: View, op: Tape, *, largest: int = 1024) -> ir.Value:
    out, attributes = root.node.outputs[0], root.node.attributes
    for name in attributes:
        root.attr(name)
    contents = [_content(root, value) for value in root.inputs()]
    given = [content for content in contents if content is not None]
    if any(content.dtype.kind not in "biuf" for content in given):
        raise Refusal("numpy has no such type of its own")
    if out.shape is None or not out.shape.is_static() or out.dtype is None:
        raise Refusal("what comes out is not known before")
    size = prod(out.shape.numpy())
    require(
        size <= max(largest, sum(content.size for content in given)),
        "the result is larger than its inputs",
        conservative="constants that a run expands need not be stored expanded",
    )
    require(
        size <= largest or root.op_type in ("Shape", "Size") or not any(map(_is_shared, root.inputs())),
        "a large constant is used elsewhere",
        conservative="it would be stored twice",
    )
    made = _evaluated(root, contents)
    if made is None:
        raise Refusal("ONNX's reference does not evaluate it")
    with np.errstate(all="ignore"):
        return op.constant(made, like=out, name="folded")


def _evaluated(root: View, contents: list[np.ndarray | None]) -> np.ndarray | None:
    """The result; None where it is not defined."""
    if root.op_type == "Div" and contents[1] is not None and contents[1].dtype.kind in "iu" and not contents[1].all():
        return None
    if root.op_type in ARITHMETIC:
        contents = [_widened(content) for content in contents]
    with np.errstate(all="ignore"):
        return evaluate_node(root.op_type, contents, root.node.attributes, opset=root.opset)


def _content(root: View, value: ir.Value | None) -> np.ndarray | None:
    """The content of an input. Of what only its shape is asked for, nothing is read."""
    if value is None:
        return None
    if root.op_type in ("Shape", "Size") and value.shape is not None and value.shape.is_static():
        return np.broadcast_to(np.float32(0), value.shape.numpy())
    content = constant(value)
    if content is None:
        raise Refusal("an input is not a constant")
    return content


def _is_shared(value: ir.Value | None) -> bool:
    return value is not None and (len(value.uses()) > 1 or value.is_graph_output())


def _widened(content: np.ndarray | None) -> np.ndarray | None:
    return content.astype(np.float64) if content is not None and content.dtype.kind == "f" else content


@fold_constants.cases
def cases() -> Iterator[Case]:
    yield Case("weight normalisation", _weight_norm)
    yield Case(
        "opset 9: axes as an attribute", lambda g: g.Mul(g.input(2, 3), g.ReduceMean(g.weight(4, 3), axes=[0])), opset=9
    )
    yield Case(
        "the shape of data", lambda g: g.Reshape(g.input(2, 6), g.Mul(g.Shape(g.input(3, 2)), g.constant([1, 2])))
    )
    yield Case(
        "a cast",
        lambda g: g.Reshape(
            g.input(2, 6), g.Cast(g.constant(np.asarray([3.9, 4.1], np.float32)), to=ir.DataType.INT64)
        ),
    )
    yield Case(
        "movement",
        lambda g: g.Add(
            g.input(2, 3),
            g.Transpose(g.Slice(g.weight(3, 4), g.constant([0]), g.constant([2]), g.constant([1]))),
        ),
    )
    yield Case(
        "an input left out", lambda g: g.Add(g.input(2, 3), g.Clip(g.weight(3), None, g.weight(high=0.5, low=0)))
    )
    yield Case("products", lambda g: g.MatMul(g.input(2, 3), g.MatMul(g.weight(3, 4), g.weight(4, 5))))
    yield Case(
        "an expansion",
        lambda g: g.Add(g.input(8, 8), g.Expand(g.weight(1, 8), g.constant([8, 1]))),
        refuses="the result is larger than its inputs",
        options={"largest": 63},
    )
    yield Case(
        "a table and its transpose",
        _tied,
        refuses="a large constant is used elsewhere",
        options={"largest": 5},
    )
    yield Case(
        "integers that divide by zero",
        lambda g: g.Add(g.input(3, dtype=ir.DataType.INT64), g.Div(g.constant([7, 7, 7]), g.constant([2, 0, 2]))),
        refuses="ONNX's reference does not evaluate it",
        oracle="reference",
    )
    yield Case("data", lambda g: g.Relu(g.Neg(g.input(2, 3))), refuses="an input is not a constant")
    yield Case(
        "a shape that is not known",
        lambda g: g.Reshape(g.input(5, 6), g.Shape(g.input("A", "B"))),
        refuses="an input is not a constant",
    )
    yield Case(
        "a type of another library",
        lambda g: g.Add(g.input(3), g.Cast(g.constant(np.ones(3, ml_dtypes.bfloat16)), to=ir.DataType.FLOAT)),
        refuses="numpy has no such type of its own",
    )


def _weight_norm(g: CaseBuilder) -> ir.Value:
    direction, gain = g.weight(4, 3, 3, 3), g.weight(4, 1, 1, 1)
    length = g.ReduceL2(direction, g.constant([1, 2, 3]))
    return g.Conv(g.input(1, 3, 6, 6), g.Mul(gain, g.Div(direction, length)))


def _tied(g: CaseBuilder) -> ir.Value:
    table = g.weight(3, 4)
    return g.MatMul(g.MatMul(g.input(2, 3), table), g.Transpose(table))


UNARY = ("Abs", "Ceil", "Cos", "Erf", "Exp", "Floor", "Neg", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Sqrt", "Tanh")
BINARY = ("Add", "Div", "Max", "Mean", "Min", "Mul", "Pow", "Sub", "Sum")
REDUCTIONS = tuple(name for name in ARITHMETIC if name.startswith("Reduce"))


@fold_constants.samples
def samples(random: Random) -> Case:
    shape = [random.randint(1, 4) for _ in range(random.randint(1, 4))]
    steps = [random.choice(("unary", "binary", "reduce", "move")) for _ in range(random.randint(1, 3))]
    names = [random.choice({"unary": UNARY, "binary": BINARY, "reduce": REDUCTIONS}.get(s, ("",))) for s in steps]
    axes = sorted(random.sample(range(len(shape)), random.randint(1, len(shape))))
    keep, opset = random.randrange(2), random.choice((13, 18, 20))

    def build(g: CaseBuilder) -> ir.Value:
        x = g.weight(*shape, low=0.2)
        for step, name in zip(steps, names, strict=True):
            if step == "unary":
                x = g.record(name, x)
            elif step == "binary":
                x = g.record(name, x, g.weight(low=0.2))
            elif step == "move":
                x = g.Flatten(g.Unsqueeze(g.Transpose(x), g.constant([0])), axis=0)
            elif len(x.shape or ()) == len(shape) and (g.opset >= 18 or name == "ReduceSum"):
                x = g.record(name, x, g.constant(axes), keepdims=keep)
            elif len(x.shape or ()) == len(shape):
                x = g.record(name, x, axes=axes, keepdims=keep)
        return g.Add(x, g.input(1))

    return Case(f"{shape} {' '.join(names)}", build, opset=opset, seed=random.getrandbits(32))
