"""What the layer tests share: one layer as a model with seeded weights, run on ONNX Runtime, and naive loops.

The loops are the definitions of the operators, written without any code of graphc. How far ONNX Runtime may be from
them is derived as `graphc.runtime.tolerance` says, from the sums of the model and its measured condition, plus the
roundings that a single node makes on the way to one element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort  # noqa: TID251  the oracle of these tests

from graphc.runtime.difference import ratio
from graphc.runtime.feeds import nudge
from graphc.runtime.tolerance import EXACT, Tolerance, heaviest_path, rounding
from graphc.spec.emit import Emitter, Point
from graphc.spec.layers import Layer, LayerRef, make

__all__ = ["EXACT", "Built", "affine", "build", "close", "convolve", "convolve_transposed", "pooled", "sample"]

# Operations that round in ONNX's definition of an operator, beside its sums; one where it is not listed.
STEPS = {
    "BatchNormalization": 6,  # - + sqrt / · +
    "Celu": 4,  # / exp - ·
    "Elu": 3,  # exp - ·
    "Gelu": 5,  # / erf + · ·
    "HardSigmoid": 2,  # · +
    "HardSwish": 3,  # · + ·
    "InstanceNormalization": 7,  # - square + sqrt / · +
    "LayerNormalization": 7,
    "GroupNormalization": 7,
    "LRN": 4,  # square · + pow /
    "Mish": 5,  # exp + log tanh ·
    "Selu": 4,  # exp - · ·
    "Sigmoid": 3,  # exp + /
    "Softmax": 3,  # - exp /
    "LogSoftmax": 4,  # - exp log -
    "Softplus": 3,  # exp + log
    "Softsign": 2,  # + /
    "Tanh": 5,  # exp exp - + /
}
TAPS = {"linear": 2, "cubic": 4}  # of a Resize, per axis


@dataclass(frozen=True)
class Built:
    """One layer in the scope `layer`; `weights` by name below it, `outputs` by member ('' if it has none)."""

    emitter: Emitter
    model: ir.Model
    proto: onnx.ModelProto
    weights: dict[str, np.ndarray]
    outputs: dict[str, ir.Value]

    @property
    def ops(self) -> list[str]:
        return [node.op_type for node in self.proto.graph.node]

    def run(self, *inputs: np.ndarray) -> dict[str, np.ndarray]:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        session = ort.InferenceSession(self.proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        feeds = {f"x{i}": x for i, x in enumerate(inputs)}
        return dict(zip(self.outputs, session.run(None, feeds), strict=True))

    @property
    def tolerance(self) -> Tolerance:
        """What rounding may do to an output: that of the sums, and the steps of single nodes beside them."""
        sums, steps = heaviest_path(self.model), sum(_steps(node) - 1 for node in self.model.graph)
        return Tolerance(rounding=rounding(self.model).rounding * ((sums + steps) / sums) ** 0.5)

    def condition(self, *inputs: np.ndarray) -> dict[str, float]:
        """By how much each output amplifies a small relative change of the inputs, measured."""
        nudged, by = nudge({str(index): x for index, x in enumerate(inputs)})
        if not by:
            return dict.fromkeys(self.outputs, 1.0)
        here, there = self.run(*inputs), self.run(*nudged.values())
        sizes = {name: float(np.abs(y).max(initial=0.0)) for name, y in here.items()}
        return {
            name: ratio(float(np.abs(there[name] - y).max(initial=0.0)), sizes[name]) / by for name, y in here.items()
        }


def _steps(node: ir.Node) -> int:
    if node.op_type == "Resize":
        changed = sum(a != b for a, b in zip(node.inputs[0].shape, node.outputs[0].shape, strict=True))
        return TAPS.get(node.attributes.get_string("mode", "nearest"), 1) ** changed
    return STEPS.get(node.op_type, 1)


def build(
    ref: LayerRef | Layer,
    *inputs: np.ndarray | tuple[np.dtype, Sequence[tuple[int, ...]]],
    points: Sequence[Point] = ({},),
    opset: int = 21,
) -> Built:
    """The layer as a checked model. An input is an array, or its type and one shape per point."""
    g = Emitter(points, opset=opset)
    values = []
    for index, given in enumerate(inputs):
        fixed = isinstance(given, np.ndarray)
        dtype, shapes = (given.dtype, [given.shape] * len(points)) if fixed else given
        values.append(g.input(f"x{index}", ir.DataType.from_numpy(dtype), shapes))
    with g.scope("layer"):
        result = (ref if isinstance(ref, Layer) else make(ref)).emit(g, *values)
    weights = _randomise(g)
    outputs = _named(result)
    initializers = [parameter.value for parameter in g.parameters.values()] + list(g.constants.values())
    graph = ir.Graph(
        values,
        list(outputs.values()),
        nodes=g.nodes,
        initializers=initializers,
        opset_imports={"": opset},
        name="layer",
    )
    model = ir.Model(graph, ir_version=10)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    names = [node.name for node in proto.graph.node]
    assert len(names) == len(set(names))
    assert all(name.split("/")[0].startswith("layer") for name in names)
    return Built(g, model, proto, weights, outputs)


def _randomise(g: Emitter) -> dict[str, np.ndarray]:
    weights = {}
    for parameter in g.parameters.values():
        random = np.random.default_rng(len(weights))
        array = random.normal(size=parameter.shape) * 0.5
        if parameter.role == "variance":
            array = random.uniform(0.5, 2.0, parameter.shape)
        weights[parameter.path.removeprefix("layer/")] = array = np.asarray(array, np.float32)
        parameter.value.const_value = ir.tensor(array, name=parameter.path)
    return weights


def _named(result: Any) -> dict[str, ir.Value]:
    if isinstance(result, ir.Value):
        return {"": result}
    if isinstance(result, tuple):
        return {str(index): value for index, value in enumerate(result)}
    return dict(result)


def sample(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> np.ndarray:
    """Seeded float32 values, uniform in [low, high)."""
    return np.random.default_rng([seed, *shape]).uniform(low, high, shape).astype(np.float32)


def close(
    actual: np.ndarray, expected: Any, tolerance: Tolerance, condition: float = 1.0, *, scale: float | None = None
) -> None:
    """Asserts equality up to rounding, relative to `scale`: by default the largest element of what is expected."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    size = float(np.abs(expected).max(initial=0.0)) if scale is None else scale
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance.allowed(size, condition))


def convolve(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    begin: Sequence[int],
    end: Sequence[int],
    groups: int = 1,
    mode: str = "constant",
) -> np.ndarray:
    """y[n, o, i] = b[o] + sum over c, t of w[o, c, t] x[n, c, stride i - pad + dilation t], in float64."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *zip(begin, end, strict=True)], mode=mode)
    kernel = weight.shape[2:]
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    sizes = [(n - r) // s + 1 for n, r, s in zip(padded.shape[2:], reach, stride, strict=True)]
    y = np.zeros((x.shape[0], weight.shape[0], *sizes))
    ins, outs = x.shape[1] // groups, weight.shape[0] // groups
    for at, tap, group in product(np.ndindex(*sizes), np.ndindex(*kernel), range(groups)):
        source = tuple(s * o + d * t for s, o, d, t in zip(stride, at, dilation, tap, strict=True))
        rows = slice(group * outs, (group + 1) * outs)
        taken = padded[(slice(None), slice(group * ins, (group + 1) * ins), *source)]
        y[(slice(None), rows, *at)] += taken @ weight[(rows, slice(None), *tap)].T
    return y if bias is None else y + bias.reshape(-1, *[1] * len(kernel))


def convolve_transposed(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Sequence[int],
    dilation: Sequence[int],
    begin: Sequence[int],
    end: Sequence[int],
    extra: Sequence[int],
    groups: int = 1,
) -> np.ndarray:
    """Every input element adds its kernel into the output, `stride` apart; then the pads are cut off."""
    kernel = weight.shape[2:]
    axes = list(zip(stride, x.shape[2:], dilation, kernel, extra, strict=True))
    sizes = [s * (n - 1) + d * (k - 1) + 1 + e for s, n, d, k, e in axes]
    ins, outs = x.shape[1] // groups, weight.shape[1]
    y = np.zeros((x.shape[0], outs * groups, *sizes))
    for at, tap, group in product(np.ndindex(*x.shape[2:]), np.ndindex(*kernel), range(groups)):
        target = tuple(s * i + d * t for s, i, d, t in zip(stride, at, dilation, tap, strict=True))
        rows = slice(group * ins, (group + 1) * ins)
        added = x[(slice(None), rows, *at)].astype(np.float64) @ weight[(rows, slice(None), *tap)]
        y[(slice(None), slice(group * outs, (group + 1) * outs), *target)] += added
    y = y[(..., *[slice(b, n - e) for b, e, n in zip(begin, end, sizes, strict=True)])]
    return y if bias is None else y + bias.reshape(-1, *[1] * len(kernel))


def pooled(
    x: np.ndarray,
    kind: str,
    *,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    begin: Sequence[int],
    end: Sequence[int],
    ceil: bool = False,
    count_padding: bool = False,
) -> np.ndarray:
    """The maximum or mean per window, each tap looked up: outside, at most padding is counted."""
    rank = len(kernel)
    sizes = []
    for n, k, s, d, b, e in zip(x.shape[2:], kernel, stride, dilation, begin, end, strict=True):
        room = n + b + e - d * (k - 1) - 1
        count = (-(-room // s) if ceil else room // s) + 1
        sizes.append(count)
    y = np.zeros((*x.shape[:2], *sizes))
    for at in np.ndindex(*sizes):
        values, counted = [], 0
        for tap in np.ndindex(*kernel):
            where = [stride[a] * at[a] - begin[a] + dilation[a] * tap[a] for a in range(rank)]
            counted += all(-begin[a] <= where[a] < x.shape[2 + a] + end[a] for a in range(rank))
            if all(0 <= where[a] < x.shape[2 + a] for a in range(rank)):
                values.append(x[(slice(None), slice(None), *where)].astype(np.float64))
        total = np.max(values, axis=0) if kind == "max" else np.sum(values, axis=0)
        y[(slice(None), slice(None), *at)] = (
            total if kind == "max" else total / (counted if count_padding else len(values))
        )
    return y


def affine(y: np.ndarray, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """scale y + bias per channel of [N, C, ...]."""
    column = partial(np.reshape, shape=(-1, *[1] * (y.ndim - 2)))
    return y * column(weights["scale"]) + column(weights["bias"])
