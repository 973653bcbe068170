"""Small random networks for tests, written node by node."""

from typing import Any

import numpy as np
import onnx_ir as ir


class Net:
    """Nodes on top of inputs, one call per node; weights are seeded and float32."""

    def __init__(self, seed: int = 0, opset: int = 20) -> None:
        self.random = np.random.default_rng(seed)
        self.opset = opset
        self.inputs: list[ir.Value] = []
        self.nodes: list[ir.Node] = []
        self.initializers: list[ir.Value] = []

    def input(self, name: str, shape: list[int | str], dtype: ir.DataType = ir.DataType.FLOAT) -> ir.Value:
        value = ir.Value(name=name, type=ir.TensorType(dtype), shape=ir.Shape(shape))
        self.inputs.append(value)
        return value

    def weight(self, array: Any) -> ir.Value:
        array = np.asarray(array)
        array = array.astype(np.float32) if array.dtype.kind == "f" else array
        name = f"w{len(self.initializers)}"
        value = ir.Value(name=name, shape=ir.Shape(array.shape), const_value=ir.tensor(array, name=name))
        value.type = ir.TensorType(value.const_value.dtype)
        self.initializers.append(value)
        return value

    def normal(self, *shape: int, scale: float = 1.0) -> ir.Value:
        return self.weight(scale * self.random.standard_normal(shape))

    def positive(self, *shape: int) -> ir.Value:
        return self.weight(self.random.uniform(0.5, 1.5, shape))

    def op(self, op_type: str, *inputs: ir.Value | None, **attributes: Any) -> ir.Value:
        name = f"{op_type.lower()}{len(self.nodes)}"
        node = ir.node(op_type, list(inputs), attributes, name=name)
        node.outputs[0].name = name
        self.nodes.append(node)
        return node.outputs[0]

    def conv(self, x: ir.Value, cin: int, cout: int, kernel: int = 3, dilation: int = 1) -> ir.Value:
        weight = self.normal(cout, cin, kernel, kernel, scale=np.sqrt(2 / (cin * kernel**2)))
        pads = [dilation * (kernel // 2)] * 4
        return self.op("Conv", x, weight, self.normal(cout, scale=0.1), pads=pads, dilations=[dilation] * 2)

    def batchnorm(self, x: ir.Value, channels: int) -> ir.Value:
        shift, mean = self.normal(channels, scale=0.1), self.normal(channels, scale=0.1)
        return self.op("BatchNormalization", x, self.positive(channels), shift, mean, self.positive(channels))

    def model(self, **outputs: ir.Value) -> ir.Model:
        for name, value in outputs.items():
            value.name, value.type = name, value.type or ir.TensorType(ir.DataType.FLOAT)
        graph = ir.Graph(
            self.inputs,
            list(outputs.values()),
            nodes=self.nodes,
            initializers=self.initializers,
            opset_imports={"": self.opset},
            name="net",
        )
        return ir.Model(graph, ir_version=10)


def plain(seed: int = 0, channels: int = 32, layers: int = 5) -> ir.Model:
    """Conv, BatchNormalization, Relu, repeated."""
    net = Net(seed)
    x, cin = net.input("x", [1, 3, 24, 24]), 3
    for _ in range(layers):
        x, cin = net.op("Relu", net.batchnorm(net.conv(x, cin, channels), channels)), channels
    return net.model(y=x)


def adaptive(seed: int = 0) -> ir.Model:
    """Dilated convolutions with an adaptive normalisation, a context aggregation network in small."""
    net = Net(seed)
    x, cin = net.input("x", [1, 3, 32, 32]), 3
    for dilation in (1, 2, 4, 8, 1):
        z = net.conv(x, cin, 24, dilation=dilation)
        own = net.op("Mul", z, net.weight(0.8))
        normed = net.op("Mul", net.batchnorm(z, 24), net.weight(0.3))
        x, cin = net.op("LeakyRelu", net.op("Add", own, normed), alpha=0.2), 24
    return net.model(y=net.conv(x, 24, 3, 1))


def residual(seed: int = 0, blocks: int = 8, channels: int = 24) -> ir.Model:
    """Scaled residual blocks and a long skip, a super-resolution body in small."""
    net = Net(seed)
    head = x = net.conv(net.input("x", [1, 3, 24, 24]), 3, channels)
    for _ in range(blocks):
        branch = net.conv(net.op("Relu", net.conv(x, channels, channels)), channels, channels)
        x = net.op("Add", x, net.op("Mul", branch, net.weight(0.1)))
    return net.model(y=net.conv(net.op("Add", net.conv(x, channels, channels), head), channels, 3))


def gated(seed: int = 0, blocks: int = 30, channels: int = 24) -> ir.Model:
    """Residual blocks with channel attention and nothing that tames them: it amplifies every small change."""
    net = Net(seed)
    x = net.conv(net.input("x", [1, 3, 24, 24]), 3, channels)
    for _ in range(blocks):
        branch = net.conv(net.op("Relu", net.conv(x, channels, channels)), channels, channels)
        gate = net.conv(net.op("GlobalAveragePool", branch), channels, 4, 1)
        gate = net.op("Sigmoid", net.conv(net.op("Relu", gate), 4, channels, 1))
        x = net.op("Add", x, net.op("Mul", branch, gate))
    return net.model(y=net.conv(x, channels, 3))


def instance_normed(seed: int = 0, layers: int = 5, channels: int = 24) -> ir.Model:
    """Instance normalisation, whose division amplifies what it is handed."""
    net = Net(seed)
    x, cin = net.input("x", [1, 3, 24, 24]), 3
    for _ in range(layers):
        scale, shift = net.positive(channels), net.normal(channels, scale=0.1)
        x = net.op("Relu", net.op("InstanceNormalization", net.conv(x, cin, channels), scale, shift))
        cin = channels
    return net.model(y=net.conv(x, channels, 3))


def dense(seed: int = 0, width: int = 256, layers: int = 6) -> ir.Model:
    """Gemm, and Relu between them."""
    net = Net(seed)
    x = net.input("x", [4, width])
    for layer in range(layers):
        weight = net.normal(width, width, scale=np.sqrt(2 / width))
        x = net.op("Relu", x) if layer else x
        x = net.op("Gemm", x, weight, net.normal(width, scale=0.1), transB=1)
    return net.model(y=x)


NETS = {make.__name__: make for make in (plain, adaptive, residual, gated, instance_normed, dense)}
