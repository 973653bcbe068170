"""The nine classic networks in the onnx wheel (IR 3, opset 9), with seeded random weights.

As shipped their weights are ConstantOfShape nodes, every element 0.02, so that no mistake in a fold could
show. Here each becomes an initializer that is also a graph input, as IR 3 demands of weights, and every
batch-normalisation parameter gets random values too. Scales follow He: activations keep their size from layer
to layer.
"""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.passes.common import RemoveInitializersFromInputsPass

import graphc.model

FOLDER = Path(onnx.__file__).parent / "backend/test/data/light"


def light_models() -> list[str]:
    """The names of the nine networks, `light_` left off."""
    return sorted(file.stem.removeprefix("light_") for file in FOLDER.glob("light_*.onnx"))


def load_light(name: str, seed: int = 0, *, freeze_inputs: bool = False) -> ir.Model:
    """One of them with random weights, read by graphc's own loader."""
    model = graphc.model.load(FOLDER / f"light_{name}.onnx")
    for node in list(model.graph):
        if node.op_type == "ConstantOfShape":
            _node_into_initializer(model.graph, node)
    random = np.random.default_rng(seed)
    for value in model.graph.initializers.values():
        if value.const_value.dtype == ir.DataType.FLOAT:
            array = _random(_role(value), value.const_value.shape.numpy(), random)
            value.const_value = ir.tensor(array.astype(np.float32), name=value.name)
    if freeze_inputs:
        RemoveInitializersFromInputsPass()(model)
    return model


def _node_into_initializer(graph: ir.Graph, node: ir.Node) -> None:
    """Replace a ConstantOfShape by an initializer of that shape that is also an input, as its shape was."""
    shape, value = node.inputs[0], node.outputs[0]
    sizes = tuple(int(d) for d in shape.const_value.numpy())
    weight = ir.Value(name=value.name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(sizes))
    weight.const_value = ir.tensor(np.zeros(sizes, np.float32), name=weight.name)
    value.replace_all_uses_with(weight)
    graph.remove(node, safe=True)
    graph.inputs.remove(shape)
    graph.initializers.pop(shape.name)
    graph.inputs.append(weight)
    graph.initializers.add(weight)


def _role(value: ir.Value) -> str:
    """What a parameter does to the activations it meets, by its consumer."""
    for node, position in value.uses():
        if node.op_type in ("Unsqueeze", "Reshape"):
            return _role(node.outputs[0])
        if (node.op_type, position) in (("Conv", 1), ("Gemm", 1)):
            return "weight after relu" if _rectified(node.inputs[0]) else "weight"
        if (node.op_type, position) == ("BatchNormalization", 4):
            return "variance"
        if (node.op_type, position) in (("BatchNormalization", 1), ("Mul", 1)):
            summed = any(user.op_type == "Sum" for user, _ in node.outputs[0].uses())
            return "branch scale" if summed else "scale"
    return "shift"


def _rectified(value: ir.Value) -> bool:
    """Whether a ReLU has halved the mean square of these activations, whatever has moved them since."""
    node = value.producer()
    if node is None or node.op_type in ("Conv", "Gemm", "BatchNormalization", "Add", "Sum"):
        return False
    return node.op_type == "Relu" or _rectified(node.inputs[0])


def _random(role: str, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    if role.startswith("weight"):
        gain = 2 if role == "weight after relu" else 1
        return random.standard_normal(shape) * np.sqrt(gain / np.prod(shape[1:]))
    if role == "shift":
        return 0.1 * random.standard_normal(shape)
    if role == "variance":
        return random.uniform(0.5, 1.5, shape)
    # E[scale² / variance] = 1, and half as large on a branch of a sum: logits stay small enough for softmax
    return random.uniform(0.4, 1.4, shape) * (0.5 if role == "branch scale" else 1)
