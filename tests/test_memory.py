"""Memory: held against what PyTorch saves and allocates, a slow simulation, and every plan there is."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import networkx
import numpy as np
import pytest
from nets import Net

from graphc.analysis import checkpointing
from graphc.analysis.checkpointing import Position, cheapest, checkpoints
from graphc.analysis.training import cost

FIXTURES = Path(__file__).parent / "fixtures" / "cost"
NETWORKS = json.loads((FIXTURES / "networks.json").read_text())["networks"]
# Its program keeps the last pass's value in a variable while it makes the next; the graph does not say so.
HELD_BY_A_VARIABLE = {"recursive"}
FLOAT = 4


def memory_of(name):
    return cost(FIXTURES / f"{name}.onnx").memory


# ---------------------------------------------------------------- PyTorch


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_bytes_are_autograds(name):
    found, expected = memory_of(name), NETWORKS[name]
    assert found.saved_activations == expected["saved_activations"]
    assert found.saved_inputs == expected["saved_input"]
    assert found.weights >= expected["parameter_bytes"] + expected["buffer_bytes"]
    assert found.unknown == ""


@pytest.mark.parametrize("name", [name for name, network in NETWORKS.items() if network["sequential"]])
def test_peak_of_chains_is_pytorchs(name):
    assert memory_of(name).peak_training == NETWORKS[name]["peak"]


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - HELD_BY_A_VARIABLE))
def test_peak_of_graphs_with_branches_is_too(name):
    assert memory_of(name).peak_training == NETWORKS[name]["peak"]


@pytest.mark.parametrize("name", sorted(HELD_BY_A_VARIABLE))
def test_peak_is_no_more_than_a_program_that_holds_on_to_values(name):
    assert memory_of(name).peak_training < NETWORKS[name]["peak"]


# ---------------------------------------------------------------- by hand


def test_a_convolution_and_its_activation_by_hand():
    """x 2·3·8·8, conv to 4 channels, ReLU: forward holds conv and ReLU, backward two gradients beside the output."""
    net = Net()
    y = net.op("Relu", net.conv(net.input("x", [2, 3, 8, 8]), 3, 4))
    found = cost(net.model(y=y), optimizer="adam").memory
    x, out, weights = FLOAT * 2 * 3 * 64, FLOAT * 2 * 4 * 64, FLOAT * (4 * 3 * 9 + 4)
    assert (found.weights, found.gradients, found.optimizer) == (weights, weights, 2 * weights)
    assert (found.saved_activations, found.saved_inputs) == (out, x)
    assert found.peak_training == weights + 2 * weights + x + out + 2 * out  # output, and the gradients around the ReLU
    assert found.peak_inference == weights + x + 2 * out


def test_views_share_storage():
    net = Net()
    y = net.op("Relu", net.op("Reshape", net.input("x", [2, 3, 4]), net.weight(np.array([6, 4]))))
    reshaped = cost(net.model(y=net.op("Flatten", y)), training=False).memory
    net = Net()
    plain = cost(net.model(y=net.op("Relu", net.input("x", [6, 4]))), training=False).memory
    assert reshaped.peak_inference - 2 * 8 == plain.peak_inference  # but for the two numbers of the shape


def test_unknown_sizes_are_said():
    net = Net()
    y = net.op("Relu", net.conv(net.input("x", ["N", 3, 8, 8]), 3, 4))
    assert "not static" in cost(net.model(y=y)).memory.unknown


# ---------------------------------------------------------------- inference, against a slow simulation


def random_net(rng):
    """Sums of earlier values, of different sizes through Concat; each has a size of its own."""
    net = Net(int(rng.integers(1000)))
    widths = [int(rng.integers(1, 9))]
    values = [net.input("x", [1, widths[0]])]
    for _ in range(int(rng.integers(2, 7))):
        a, b = rng.integers(0, len(values), 2)
        if rng.random() < 0.5:
            values.append(net.op("Concat", values[a], values[b], axis=1))
            widths.append(widths[a] + widths[b])
        else:
            values.append(net.op("Tanh", values[a]))
            widths.append(widths[a])
    outputs = {f"y{i}": value for i, value in enumerate(values[1:]) if i + 2 == len(values) or rng.random() < 0.2}
    return net.model(**outputs)


def simulated(order, outputs, sizes):
    """The peak of an order of nodes: what is made and still needed, at each node beside what it makes."""
    peak = 0
    for index, node in enumerate(order):
        made = {value for earlier in order[: index + 1] for value in earlier.outputs}
        needed = {value for later in order[index:] for value in later.inputs}
        live = {value for value in made if value in needed or value in outputs or value in node.outputs}
        peak = max(peak, sum(sizes[value.name] for value in live))
    return peak


def test_inference_peak_and_its_bound():
    rng = np.random.default_rng(1)
    tight = 0
    for _ in range(40):
        model = random_net(rng)
        memory = cost(model, training=False).memory
        needed = ancestors(model)
        nodes = [node for node in model.graph if node in needed]
        report = {node.name: node.outputs for node in cost(model, training=False).nodes}
        sizes = {node.outputs[0].name: FLOAT * report[node.name] for node in nodes}
        x = FLOAT * model.graph.inputs[0].shape[1]
        outputs = set(model.graph.outputs)
        assert memory.peak_inference == x + simulated(nodes, outputs, sizes)
        graph = networkx.DiGraph()
        graph.add_nodes_from(nodes)
        graph.add_edges_from((v.producer(), node) for node in nodes for v in node.inputs if v.producer() is not None)
        orders = itertools.islice(networkx.all_topological_sorts(graph), 500)
        best = x + min(simulated(order, outputs, sizes) for order in orders)
        assert memory.bound_inference <= best <= memory.peak_inference
        tight += memory.bound_inference == best
    assert tight  # the bound is reached


def ancestors(model):
    """The nodes that an output needs."""
    found, stack = set(), [value.producer() for value in model.graph.outputs]
    while stack:
        node = stack.pop()
        if node is not None and node not in found:
            found.add(node)
            stack += [value.producer() for value in node.inputs if value is not None]
    return found


# ---------------------------------------------------------------- checkpointing, against every plan there is


def random_chain(rng, length):
    """A chain: value i is made by node i; a node may save its input, its output, and a buffer."""
    net = Net()
    values = [net.input(f"v{i}", [1]) for i in range(length)]
    sizes = {value: int(rng.integers(1, 20)) for value in values}
    positions = []
    for index, value in enumerate(values):
        choices = values[max(0, index - 1) : index + 1]
        saved = frozenset(choice for choice in choices if rng.random() < 0.6)
        positions.append(Position(int(rng.integers(1, 50)), frozenset({value}), saved, int(rng.integers(0, 6))))
    return positions, sizes


def every_plan(positions, sizes):
    """(bytes, price) of each way to cut a chain and to choose among the segments, by walking backward through it."""
    length = len(positions)
    for bits in range(2 ** (length - 1)):
        cuts = [0, *(i for i in range(1, length) if bits >> (i - 1) & 1), length]
        segments = list(itertools.pairwise(cuts))
        for again in itertools.product([False, True], repeat=len(segments)):
            yield walked(positions, sizes, segments, again)


def walked(positions, sizes, segments, again):
    """Keep what a plan keeps; then, from the last segment to the first, look at what is held, and let go of it."""
    kept, buffers = [], []
    for (start, stop), recomputed in zip(segments, again, strict=True):
        inside = positions[start:stop]
        held = set(inside[-1].live)
        if not recomputed:
            held.update(*(each.saved for each in inside))
        kept.append(held)
        buffers.append(0 if recomputed else sum(each.buffers for each in inside))
    peak = price = 0
    for index in reversed(range(len(segments))):
        inside = positions[slice(*segments[index])]
        held = set().union(*kept[: index + 1])
        extra = sum(buffers[: index + 1])
        if again[index]:
            held.update(*(each.saved for each in inside))
            extra += sum(each.buffers for each in inside)
            price += sum(each.price for each in inside)
        peak = max(peak, sum(sizes[value] for value in held) + extra)
    return peak, price


@pytest.mark.parametrize("seed", range(25))
def test_plans_of_chains_are_the_best_there_are(seed):
    rng = np.random.default_rng(seed)
    positions, sizes = random_chain(rng, int(rng.integers(1, 7)))
    plans = set(every_plan(positions, sizes))
    for budget in {None, *(peak for peak, _ in plans), min(plans)[0] - 1}:
        within = [(price, peak) for peak, price in plans if budget is None or peak <= budget]
        found = cheapest(positions, sizes, budget)
        assert (None if found is None else (found.price, found.bytes)) == min(within, default=None)


def test_a_budget_buys_memory_for_work():
    whole = checkpoints(FIXTURES / "vgg.onnx")
    assert whole.price == 0
    assert whole.bytes >= memory_of("vgg").saved_activations
    less = checkpoints(FIXTURES / "vgg.onnx", budget=whole.bytes - 1)
    assert less.bytes < whole.bytes
    assert 0 < less.price <= cost(FIXTURES / "vgg.onnx").totals.forward.flops
    assert [segment.stop for segment in less.segments[:-1]] == [segment.start for segment in less.segments[1:]]
    assert checkpoints(FIXTURES / "vgg.onnx", budget=1) is None


def test_long_graphs_have_few_candidates(monkeypatch):
    monkeypatch.setattr(checkpointing, "MAX_CUTS", 4)
    positions, sizes = random_chain(np.random.default_rng(0), 30)
    plan = cheapest(positions, sizes)
    assert plan.price == 0
    less = cheapest(positions, sizes, plan.bytes * 3 // 4)
    assert less is not None
    assert len(less.segments) <= 5
    assert (less.bytes, less.price) == walked(
        positions,
        sizes,
        [(segment.start, segment.stop) for segment in less.segments],
        [segment.recomputed for segment in less.segments],
    )
