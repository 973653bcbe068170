"""The cost of a training step: held against PyTorch's counts, closed forms by hand, and first principles.

The fixtures were made from PyTorch (tests/fixtures/cost/README.md); they share no code with graphc.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import networkx
import numpy as np
import onnx
import onnx_ir as ir
import pytest
from light import light_models, load_light
from nets import Net
from networks import path_of, variants

from graphc.analysis.annotation import TrainingCostPass
from graphc.analysis.conventions import CONVENTIONS, convention
from graphc.analysis.cost_report import DIRECTIONS, added
from graphc.analysis.roofline import above_roof, bounds, device
from graphc.analysis.trainable import stored
from graphc.analysis.training import cost
from graphc.costs import ZERO, Cost
from graphc.errors import GraphcError
from graphc.pipeline import Pipeline
from graphc.spec.doors import expand, expand_text

FIXTURES = Path(__file__).parent / "fixtures" / "cost"
NETWORKS = json.loads((FIXTURES / "networks.json").read_text())["networks"]


def macs(report):
    return tuple(getattr(report.totals, direction).mac for direction in DIRECTIONS)


def node_of(report, name):
    (found,) = [node for node in report.nodes if node.name == name]
    return found


def names(values):
    return {value.name for value in values}


# ---------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("name", NETWORKS)
def test_multiply_adds_are_pytorchs(name):
    report, expected = cost(FIXTURES / f"{name}.onnx"), NETWORKS[name]["macs"]
    assert macs(report) == (expected["forward"], expected["filter_grad"], expected["input_grad"])
    assert report.uncosted == ()


@pytest.mark.parametrize("name", NETWORKS)
def test_what_trains_is_what_pytorch_trains(name):
    report, expected = cost(FIXTURES / f"{name}.onnx"), NETWORKS[name]
    assert (report.params, report.buffers, report.frozen) == (expected["parameters"], expected["buffers"], 0)
    assert report.memory.gradients == expected["parameter_bytes"]


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_convention_doubles_them(name):
    totals, expected = CONVENTIONS["torch"].totals(cost(FIXTURES / f"{name}.onnx")), NETWORKS[name]["macs"]
    assert totals == {direction: 2 * expected[direction] for direction in DIRECTIONS}


# ---------------------------------------------------------------- by hand


def two_layers():
    """[2, 3, 8, 8] through 3x3 convolutions of 4 and 5 channels with bias, a ReLU between."""
    net = Net()
    y = net.op("Relu", net.conv(net.input("x", [2, 3, 8, 8]), 3, 4))
    return net.model(y=net.conv(y, 4, 5))


FIRST, SECOND, RELU = 2 * 4 * 64 * 3 * 9, 2 * 5 * 64 * 4 * 9, 2 * 4 * 64


def test_two_layers_by_hand():
    report = cost(two_layers())
    first, relu, second = report.nodes
    assert (first.forward.mac, first.filter_grad.mac, first.input_grad) == (FIRST, FIRST, ZERO)
    assert (second.forward.mac, second.filter_grad.mac, second.input_grad.mac) == (SECOND, SECOND, SECOND)
    assert (first.filter_grad.add, second.filter_grad.add) == (2 * 4 * 64, 2 * 5 * 64)  # the biases
    assert (relu.forward.cmp, relu.filter_grad) == (RELU, ZERO)
    assert report.params == 3 * 4 * 9 + 4 + 4 * 5 * 9 + 5
    assert second.filter_grad.bytes == 4 * (2 * 4 * 64 + 2 * 5 * 64 + 4 * 5 * 9) + 4 * (2 * 5 * 64 + 5)
    assert second.input_grad.bytes == 4 * (2 * 5 * 64 + 4 * 5 * 9 + 2 * 4 * 64)


def test_inference_has_no_gradients():
    report = cost(two_layers(), training=False)
    assert macs(report) == (FIRST + SECOND, 0, 0)
    assert (report.memory.gradients, report.memory.saved_activations, report.memory.peak_training) == (0, 0, 0)


def test_w8_first_layer_has_no_input_gradient():
    """Nothing frozen: backward = 2·forward less the layers that graph inputs feed."""
    forward, filter_grad, input_grad = macs(cost(two_layers()))
    assert (filter_grad, input_grad) == (forward, forward - FIRST)


def test_w8_a_frozen_prefix_has_no_gradients():
    model = two_layers()
    first, _, second = model.graph
    report = cost(model, freeze=[first.inputs[1].name, first.inputs[2].name])
    assert [node.filter_grad.mac for node in report.nodes] == [0, 0, SECOND]
    assert [node.input_grad for node in report.nodes] == [ZERO, ZERO, ZERO]
    assert (report.frozen, report.params) == (3 * 4 * 9 + 4, 4 * 5 * 9 + 5)
    report = cost(model, freeze=[second.inputs[1].name, second.inputs[2].name])  # the gradient still flows through
    assert macs(report) == (FIRST + SECOND, FIRST, SECOND)


def test_w20_shared_weights_count_once_and_work_per_use():
    net, uses = Net(), 3
    weight = net.normal(4, 4, 3, 3)
    y = net.input("x", [1, 4, 6, 6])
    for _ in range(uses):
        y = net.op("Conv", y, weight, pads=[1] * 4)
    report, each = cost(net.model(y=y)), 4 * 36 * 4 * 9
    assert report.params == 4 * 4 * 9
    assert macs(report) == (uses * each, uses * each, (uses - 1) * each)
    assert report.totals.filter_grad.add == (uses - 1) * report.params  # gradients of one weight are added up
    assert report.totals.input_grad.add == 0


def test_gradients_of_a_value_that_fans_out_are_added():
    net = Net()
    x = net.conv(net.input("x", [1, 3, 6, 6]), 3, 4)
    branches = [net.op(op_type, x) for op_type in ("Relu", "Tanh", "Sigmoid")]
    report = cost(net.model(y=net.op("Sum", *branches)))
    alone = cost(_one_branch())
    of_branches = sum(node.input_grad.add for node in report.nodes if node.op_type in ("Relu", "Tanh", "Sigmoid"))
    work = sum(node.input_grad.add for node in alone.nodes if node.op_type in ("Relu", "Tanh", "Sigmoid"))
    assert of_branches == work + 2 * 4 * 36


def _one_branch():
    """The same three functions in a chain: nothing is added up."""
    net = Net()
    x = net.conv(net.input("x", [1, 3, 6, 6]), 3, 4)
    for op_type in ("Relu", "Tanh", "Sigmoid"):
        x = net.op(op_type, x)
    return net.model(y=x)


def test_a_loss_in_the_middle_is_one_more_use():
    """Two outputs, one behind the other: the gradient that comes in from outside is added to the one from behind."""
    net = Net()
    x = net.conv(net.input("x", [1, 3, 6, 6]), 3, 4)
    y = net.op("Relu", x)
    chain = cost(net.model(y=y)).totals.input_grad.add
    net = Net()
    x = net.conv(net.input("x", [1, 3, 6, 6]), 3, 4)
    y = net.op("Relu", x)
    assert cost(net.model(x1=x, y=y)).totals.input_grad.add == chain + 4 * 36


def test_gradients_exist_where_a_weight_reaches_the_loss():
    """Random graphs: a gradient towards an input exists if and only if a weight is behind it and a loss in front."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        net, graph = Net(), networkx.DiGraph()
        values = [net.input("x", [2, 3])]
        for _ in range(int(rng.integers(3, 12))):
            operands = [values[i] for i in rng.integers(0, len(values), 2)]
            operands[1] = net.normal(1, 3) if rng.random() < 0.3 else operands[1]
            values.append(net.op("Mul", *operands))
            graph.add_edges_from((operand, values[-1]) for operand in operands)
        outputs = {f"y{i}": v for i, v in enumerate(values[1:]) if rng.random() < 0.3} or {"y0": values[-1]}
        model = net.model(**outputs)
        weights = set(model.graph.initializers.values())
        needs = weights.union(*(networkx.descendants(graph, w) for w in weights if w in graph))
        reaches = set(outputs.values()).union(*(networkx.ancestors(graph, y) for y in outputs.values()))
        flows = {node.name: node.outputs[0] in needs & reaches for node in model.graph}
        inputs = {node.name: node.inputs for node in model.graph}
        for counted in cost(model).nodes:
            gradients = sum(value in needs for value in inputs[counted.name]) * flows[counted.name]
            assert counted.filter_grad.mul + counted.input_grad.mul == 2 * 3 * gradients


# ---------------------------------------------------------------- what trains


def weight_through(op_type, *, attributes=None, shape=(4, 3)):
    net = Net()
    x = net.input("x", [2, 3])
    return net.model(y=net.op("MatMul", x, net.op(op_type, net.normal(*shape), **(attributes or {}))))


def trained(model):
    return names(stored(model).trained)


def test_weights_train_also_behind_nodes_that_pass_them_on():
    assert trained(weight_through("Transpose")) == {"w0"}
    assert trained(weight_through("Identity", shape=(3, 4))) == {"w0"}
    report = cost(weight_through("Transpose"))
    transpose, product = report.nodes
    assert (product.filter_grad.mac, product.input_grad.mac) == (2 * 3 * 4, 0)
    assert transpose.filter_grad.bytes > 0


def test_a_constant_node_can_be_a_weight():
    net = Net()
    x, weight = net.input("x", [2, 3]), net.op("Constant", value=ir.tensor(np.ones((3, 4), np.float32)))
    report = cost(net.model(y=net.op("MatMul", x, weight)))
    assert (report.params, report.totals.filter_grad.mac) == (12, 24)


def test_a_weight_behind_quantisation_trains_and_its_scales_do_not():
    net = Net()
    x, scale, zero = net.input("x", [2, 3]), net.weight(np.float32(0.1)), net.weight(np.int8(0))
    quantised = net.op("QuantizeLinear", net.normal(3, 4), scale, zero)
    model = net.model(y=net.op("MatMul", x, net.op("DequantizeLinear", quantised, scale, zero)))
    assert trained(model) == {"w2"}


@pytest.mark.parametrize(("op_type", "shape", "trains"), [
    ("Add", (3,), True), ("Mul", (3,), True), ("Mul", (2, 1), True), ("Mul", (), False), ("Add", (1,), False),
    ("Sub", (3,), False), ("Div", (3,), False), ("Pow", (), False), ("Max", (3,), False),
])  # fmt: skip
def test_operands_of_add_and_mul_train_unless_they_are_one_number(op_type, shape, trains):
    net = Net()
    x = net.input("x", [2, 3])
    assert bool(trained(net.model(y=net.op(op_type, x, net.positive(*shape))))) is trains


def test_statistics_are_buffers_and_slopes_train():
    net = Net()
    y = net.batchnorm(net.input("x", [2, 4, 3, 3]), 4)
    report = cost(net.model(y=net.op("PRelu", y, net.positive(4, 1, 1))))
    assert (report.params, report.buffers) == (4 + 4 + 4, 4 + 4)


def test_a_weight_that_is_also_an_input_is_a_weight():
    net = Net()
    x, weight = net.input("x", [2, 3]), net.normal(3, 4)
    net.inputs.append(weight)
    assert macs(cost(net.model(y=net.op("MatMul", x, weight)))) == (24, 24, 0)


@pytest.mark.parametrize("name", light_models())
def test_light_models_are_costed_completely(name):
    """IR 3: every weight is an input too, and Reshape's target is among them."""
    model = load_light(name)
    report = cost(model)
    assert report.uncosted == ()
    assert report.memory.unknown == ""
    floats = [v for v in model.graph.initializers.values() if v.dtype == ir.DataType.FLOAT and v.uses()]
    assert report.params + report.buffers == sum(prod(v.shape.numpy()) for v in floats)
    assert report.totals.filter_grad.mac == report.totals.forward.mac


def test_globs_freeze_by_name():
    model = two_layers()
    everything = names(stored(model).trained)
    kept = stored(model, ["w0", "w[13]"])
    assert names(kept.frozen) == {"w0", "w1", "w3"}
    assert names(kept.trained) == everything - {"w0", "w1", "w3"}


def test_a_glob_without_a_match_is_an_error():
    with pytest.raises(GraphcError) as caught:
        cost(two_layers(), freeze=["backbone.*"])
    assert caught.value.code == "run/usage"
    assert "backbone.*" in caught.value.message


# ---------------------------------------------------------------- training and inference


def norm_and_dropout():
    net = Net()
    y = net.batchnorm(net.conv(net.input("x", [2, 3, 8, 8]), 3, 4), 4)
    return net.model(y=net.op("Dropout", y, net.weight(np.float32(0.5))))


def test_batch_norms_and_dropouts_run_as_in_training():
    elements = 2 * 4 * 64
    training, inference = cost(norm_and_dropout()), cost(norm_and_dropout(), training=False)
    assert training.nodes[1].forward.flops > inference.nodes[1].forward.flops
    assert inference.nodes[1].forward.transcendental == 0  # folded statistics: no square roots
    assert inference.nodes[2].forward.flops == 0
    assert training.nodes[2].forward.mul == elements
    assert training.memory.saved_activations == 4 * (elements + 2 * 4 + elements)  # norm: input, statistics; mask


def test_frozen_batch_norms_stay_as_they_are():
    model = norm_and_dropout()
    norm = model.graph[1]
    frozen = cost(model, freeze=[value.name for value in norm.inputs[1:3]])
    assert frozen.nodes[1].forward == cost(model, training=False).nodes[1].forward


def test_the_given_model_is_not_changed():
    model = norm_and_dropout()
    before = ir.to_proto(model).SerializeToString()
    cost(model, batch=7, precision="fp16")
    assert ir.to_proto(model).SerializeToString() == before


def test_weights_are_not_read():
    model = two_layers()
    for value in model.graph.initializers.values():
        value.const_value = ir.LazyTensor(_unreadable, dtype=ir.DataType.FLOAT, shape=value.shape, name=value.name)
    assert macs(cost(model)) == (FIRST + SECOND, FIRST + SECOND, SECOND)


def _unreadable():
    raise AssertionError("a weight was read")


# ---------------------------------------------------------------- sizes


def test_costs_are_linear_in_the_batch():
    one, many = cost(two_layers(), batch=1), cost(two_layers(), batch=10**6)
    assert macs(many) == tuple(10**6 * count for count in macs(one))
    assert many.params == one.params


def test_w28_counts_do_not_overflow():
    report = cost(path_of("vgg16"), batch=10**6)
    once = cost(path_of("vgg16"), batch=1)
    assert macs(report) == tuple(10**6 * count for count in macs(once))
    assert report.totals.total.mac > 2**53


def test_a_size_that_was_baked_in_is_uncosted_and_not_wrong():
    net = Net()
    y = net.op("Reshape", net.input("x", [1, 3, 4]), net.weight(np.array([1, 12])))
    model = net.model(y=net.op("MatMul", y, net.normal(12, 5)))
    assert cost(model).totals.forward.mac == 60
    baked = cost(model, batch=4)
    assert {node.op_type for node in baked.uncosted} == {"MatMul"}
    assert baked.totals.forward.mac == 0


def test_unknown_dims_leave_nodes_uncosted():
    net = Net()
    y = net.conv(net.input("x", ["N", 3, "H", 8]), 3, 4)
    model = net.model(y=y)
    report = cost(model)
    assert [node.op_type for node in report.uncosted] == ["Conv"]
    assert "not static" in report.uncosted[0].uncosted
    assert cost(model, batch=2, dims={"H": 8}).totals.forward.mac == FIRST


@pytest.mark.parametrize("options", [{"dims": {"Q": 3}}, {"batch": 0}, {"optimizer": "lion"}])
def test_wrong_options_are_refused(options):
    with pytest.raises(GraphcError) as caught:
        cost(two_layers(), **options)
    assert caught.value.code == "run/usage"


def test_precision_halves_the_bytes_and_nothing_else():
    whole, half = cost(two_layers()), cost(two_layers(), precision="bf16")
    assert half.totals.total.bytes * 2 == whole.totals.total.bytes
    assert half.totals.total.flops == whole.totals.total.flops
    assert half.memory.peak_training * 2 == whole.memory.peak_training


# ---------------------------------------------------------------- wrong counts of others


def test_w22_a_loop_counts_its_trips():
    bodies = []
    for trips in (1, 5):
        text = f"""<ir_version: 10, opset_import: ["" : 20]>
        g (float[2,3] x) => (float[2,3] y)
        <int64 n = {{{trips}}}, bool yes = {{1}}, float[3,3] w = {{1,2,3,4,5,6,7,8,9}}> {{
          y = Loop (n, yes, x) <body = b (int64 i, bool c, float[2,3] s) => (bool k, float[2,3] t)
            {{ k = Identity (c)  t = MatMul (s, w) }}>
        }}"""
        bodies.append(cost(ir.from_proto(onnx.parser.parse_model(text))))
    one, five = bodies
    assert (one.totals.forward.mac, five.totals.forward.mac) == (18, 90)
    assert one.params == 9


def test_w23_a_function_is_what_it_does():
    text = """<ir_version: 10, opset_import: ["" : 20, "local" : 1]>
    g (float[2,3] x) => (float[2,3] y) <float[3,3] w = {1,2,3,4,5,6,7,8,9}> { y = local.twice (x, w) }
    <domain: "local", opset_import: ["" : 20]>
    twice (x, w) => (y) { a = MatMul (x, w)  y = MatMul (a, w) }"""
    report = cost(ir.from_proto(onnx.parser.parse_model(text)))
    assert report.uncosted == ()
    assert macs(report) == (36, 36, 18)
    assert report.totals.filter_grad.add == 9


def test_w26_dead_nodes_do_not_run_and_identities_cost_nothing():
    net = Net()
    x = net.input("x", [2, 3])
    y = net.op("Identity", net.op("MatMul", x, net.normal(3, 4)))
    net.op("MatMul", x, net.normal(3, 400))
    report = cost(net.model(y=y))
    assert len(report.dead) == 1
    assert report.totals.forward.mac == 24
    assert node_of(report, y.producer().name).total == ZERO


def test_w27_odd_sizes_that_a_floor_makes_equal():
    counts = []
    for size in (33, 34):
        report = cost(expand(path_of("resnet@r18")).model(), training=False, dims={"H": size, "W": size})
        counts.append(report.totals.forward.mac)
    assert counts == [80_710_848, 80_710_848]


# ---------------------------------------------------------------- identities of the seeds


def conv_report(cin, cout, size, *, groups=1, kernel=3):
    net = Net()
    x = net.input("x", [2, cin, size, size])
    weight = net.normal(cout, cin // groups, kernel, kernel)
    model = net.model(y=net.op("Conv", x, weight, group=groups, pads=[kernel // 2] * 4))
    model.graph.inputs[0].name = "x"
    return cost(model)


def test_a_grouped_convolution_costs_one_gth():
    whole, grouped = conv_report(12, 24, 10), conv_report(12, 24, 10, groups=6)
    assert [6 * count for count in macs(grouped)] == list(macs(whole))


def test_channels_times_d_and_sides_over_d_cost_the_same():
    """9·C²·H·W is invariant."""
    found = {macs(conv_report(4 * d, 4 * d, 24 // d)) for d in (1, 2, 3)}
    assert found == {(2 * 9 * 16 * 24 * 24, 2 * 9 * 16 * 24 * 24, 0)}


def test_a_depthwise_multiplier_leaves_the_work_per_output_alone():
    once, thrice = conv_report(6, 6, 10, groups=6), conv_report(6, 18, 10, groups=6)
    outputs = 2 * 6 * 100
    assert once.totals.forward.mac // outputs == thrice.totals.forward.mac // (3 * outputs) == 9
    assert thrice.totals.forward.bytes_written == 3 * once.totals.forward.bytes_written


# ---------------------------------------------------------------- specs


@pytest.mark.parametrize("name", variants())
def test_shipped_specs_are_costed_completely(name):
    network = expand(path_of(name))
    report = cost(network)
    assert [(node.name, node.uncosted) for node in report.uncosted] == []
    assert report.memory.unknown == ""
    assert report.has_loss
    assert report.params == sum(prod(p.shape) for p in network.trainable.values())
    assert added([node.total for node in report.nodes]) == report.totals.total


@pytest.mark.parametrize("name", ["resnet@r18", "can@can24", "edsr", "transformer_encoder"])
def test_a_spec_and_its_model_agree(name):
    """The spec's losses are its own; up to them, the model that is built costs the same."""
    network = expand(path_of(name))
    of_spec, of_model = cost(network, training=False), cost(network.model(), training=False)
    assert of_spec.nodes == of_model.nodes
    training, model = cost(network), cost(network.model())
    assert model.params == training.params
    costs = {node.name: node.filter_grad for node in training.nodes}
    assert all(node.filter_grad == costs[node.name] for node in model.nodes)


def test_a_spec_freezes_imports_and_stops_gradients():
    """Style transfer: the loss network's weights do not train, and only one of its three uses runs backward."""
    report = cost(expand(path_of("style_transfer@in")))
    assert report.frozen > 0
    loss_network = [node for node in report.nodes if node.op_type == "Conv" and node.name.startswith("train/f")]
    uses = {
        name: [node for node in loss_network if node.name.startswith(f"train/{name}/")] for name in ("fy", "fx", "fs")
    }
    assert {name: len(nodes) for name, nodes in uses.items()} == {"fy": 10, "fx": 4, "fs": 10}  # content: relu2_2
    assert all(node.filter_grad == ZERO for node in loss_network)
    assert all(node.input_grad.mac == node.forward.mac for node in uses["fy"])
    assert all(node.input_grad == ZERO for node in uses["fx"] + uses["fs"])


WEIGHTED = """
graphc: 1
name: weighted
dims: {N: 2}
inputs: {x: "f32[N, 3]"}
outputs: [y]
nodes: [{id: y, dense: 4}]
train:
  inputs: {t: "f32[N, 4]"}
  losses: [{op: mse, from: [y, t], weight: 0.5}, {op: l1, from: [y, t]}]
  optimizer: {adam: {lr: 1e-3}}
"""


STOPPED = """
graphc: 1
name: stopped
dims: {N: 2}
inputs: {x: "f32[N, 3]"}
outputs: [y]
nodes:
  - {id: a, dense: 5}
  - {id: b, op: relu, from: a, stop_gradient: true}
  - {id: y, dense: 4, from: b}
"""


@pytest.mark.parametrize("stops", [True, False])
def test_nothing_flows_back_through_what_stops_the_gradient(stops):
    report = cost(expand_text(STOPPED if stops else STOPPED.replace(", stop_gradient: true", "")))
    first, last = 2 * 3 * 5, 2 * 5 * 4
    assert macs(report) == (first + last, last if stops else first + last, 0 if stops else last)


def test_losses_are_weighed_and_added():
    report = cost(expand_text(WEIGHTED))
    assert (node_of(report, "train/weighted_0").forward.mul, node_of(report, "train/loss").forward.add) == (1, 1)
    assert report.has_loss
    assert report.optimizer == "adam"
    assert not cost(expand_text(WEIGHTED), training=False).has_loss


def test_batch_of_a_spec_is_its_dimension():
    assert macs(cost(path_of("edsr"), batch=3)) == tuple(3 * count for count in macs(cost(path_of("edsr"))))


# ---------------------------------------------------------------- optimizers


@pytest.mark.parametrize(("name", "states"), [("sgd", 0), ("momentum", 1), ("adam", 2)])
def test_optimizers_do_what_their_algorithms_do(name, states):
    """One weight, with numbers that count: the algorithms as published, run."""
    tally = {"add": 0, "mul": 0, "div": 0, "transcendental": 0}
    ALGORITHMS[name](lambda kind: tally.__setitem__(kind, tally[kind] + 1))
    report = cost(two_layers(), optimizer=name)
    assert report.optimizer_step == report.params * Cost(**tally)
    assert report.memory.optimizer == states * report.memory.gradients


def sgd(did):
    did("mul"), did("add")  # w - lr * g


def momentum(did):
    did("mul"), did("add")  # v = mu * v + g
    did("mul"), did("add")  # w - lr * v


def adam(did):
    did("mul"), did("mul"), did("add")  # m = b1 * m + (1 - b1) * g
    did("mul"), did("mul"), did("mul"), did("add")  # v = b2 * v + (1 - b2) * (g * g)
    did("mul"), did("mul")  # the corrected m and v
    did("transcendental"), did("add"), did("div"), did("mul"), did("add")  # w - lr * m / (sqrt(v) + epsilon)


ALGORITHMS = {"sgd": sgd, "momentum": momentum, "adam": adam}


# ---------------------------------------------------------------- the report


def test_json_has_the_schema_and_the_same_bytes_every_time():
    report = cost(FIXTURES / "resnet.onnx")
    found = report.as_json()
    assert found["schema"] == 1
    assert {"schema", "model", "unit", "totals", "memory", "nodes", "uncosted"} <= found.keys()
    assert {"params", "macs", "effective_macs", "flops", "bytes"} <= found["totals"].keys()
    assert all(set(found["totals"][key]) == set(DIRECTIONS) for key in ("macs", "effective_macs", "flops", "bytes"))
    wanted = {"weights", "gradients", "optimizer", "saved_activations", "peak_training", "peak_inference"}
    assert wanted <= found["memory"].keys()
    assert {"name", "op_type", "macs"} <= found["nodes"][0].keys()
    assert json.loads(report.json()) == found
    assert cost(FIXTURES / "resnet.onnx").json() == report.json()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_blocks_add_up(depth):
    report = cost(expand(path_of("resnet@r18")))
    assert added([block.total for block in report.blocks(depth).values()]) == report.totals.total
    assert all(path.count("/") < depth for path in report.blocks(depth))


def test_conventions_of_one_transposed_convolution():
    """[1, 6, 5, 5] up by 2 with 4x4 taps to [1, 4, 10, 10]: FSRCNN's papers count the output grid."""
    net = Net()
    weight = net.normal(6, 4, 4, 4)
    y = net.op("ConvTranspose", net.input("x", [1, 6, 5, 5]), weight, strides=[2, 2], pads=[1] * 4)
    report = cost(net.model(y=y))
    dense, grid = 6 * 4 * 16 * 25, 6 * 4 * 16 * 100
    assert convention("macs").totals(report)["forward"] == dense
    assert convention("legacy-output-grid").totals(report)["forward"] == grid
    assert convention("torch").totals(report)["forward"] == 2 * dense
    assert convention("effective").totals(report)["forward"] < dense
    with pytest.raises(GraphcError):
        convention("ops")


def test_fvcore_counts_norms_and_pools_by_their_elements():
    net = Net()
    y = net.batchnorm(net.conv(net.input("x", [2, 3, 8, 8]), 3, 4), 4)
    report = cost(net.model(y=net.op("GlobalAveragePool", y)), training=False)
    assert convention("fvcore").totals(report)["forward"] == FIRST + 2 * (2 * 4 * 64) + 2 * 4 * 64


def test_roofline_bounds_each_direction():
    report, on = cost(two_layers()), device("h100-sxm")
    found = {(bound.node, bound.direction): bound for bound in bounds(report, on)}
    name = report.nodes[2].name
    assert len([key for key in found if key[0] == name]) == 3
    forward, counted = found[name, "forward"], report.nodes[2].forward
    least = max(counted.flops / (2 * 33.5e12), counted.bytes / 3.35e12) + 4e-6
    assert forward.seconds == pytest.approx(least, rel=8 * np.finfo(float).eps)
    assert forward.by == "overhead"
    measured = {(name, "forward"): least / 2, (name, "filter_grad"): 1.0}
    assert [(b.node, b.direction) for b in above_roof(measured, report, on, "fp32")] == [(name, "forward")]


def test_device_profiles_say_what_is_wrong(tmp_path):
    (tmp_path / "mine.yaml").write_text("name: mine\nmacs_per_second: {fp32: -1}\nbytes_per_second: 1e9\n")
    for name in ("no-such-device", tmp_path / "mine.yaml"):
        with pytest.raises(GraphcError) as caught:
            device(name)
        assert caught.value.code == "run/usage"
    with pytest.raises(GraphcError):
        list(bounds(cost(two_layers()), device("cpu-avx2-8"), "fp16"))


def test_the_pass_annotates_and_keeps_the_report():
    model = two_layers()
    made = TrainingCostPass(batch=1)
    Pipeline([made])(model)
    told = [json.loads(node.metadata_props["graphc.cost"]) for node in model.graph]
    assert told[0] == {"forward": FIRST // 2, "filter_grad": FIRST // 2, "input_grad": 0}
    assert macs(made.report) == tuple(sum(each[d] for each in told) for d in DIRECTIONS)


def test_nodes_that_look_alike_are_told_apart_where_it_matters():
    """Same shapes, but other attributes, other constants, or the same value twice."""
    net = Net()
    x = net.input("x", [2, 4, 8, 8])
    small, large = net.op("Conv", x, net.normal(4, 4, 3, 3), pads=[1] * 4), net.op("Conv", x, net.normal(4, 4, 5, 5))
    dilated = net.op("Conv", x, net.normal(4, 4, 3, 3), pads=[2] * 4, dilations=[2, 2])
    square, product = net.op("Mul", x, x), net.op("Mul", x, net.op("Relu", x))
    made = {"small": small, "large": large, "dilated": dilated, "square": square, "product": product}
    report = cost(net.model(**made), training=False)
    found = {name: node_of(report, value.producer().name).forward for name, value in made.items()}
    assert found["small"].mac == found["dilated"].mac != found["large"].mac
    assert found["small"].effective_mac > found["dilated"].effective_mac
    assert 2 * found["square"].bytes_read == found["product"].bytes_read
