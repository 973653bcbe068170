"""What a check feeds: sizes, distributions, and integers that stay inside what they index."""

import itertools

import numpy as np
import onnx_ir as ir
import pytest
from nets import Net, plain

from graphc.errors import GraphcError
from graphc.runtime.equivalence import check
from graphc.runtime.feeds import make_feeds
from graphc.runtime.sizes import bindings


def scaled(factor, *, name="x", shape=("N", 4), dtype=ir.DataType.FLOAT, out="y"):
    net = Net()
    return net.model(**{out: net.op("Mul", net.input(name, list(shape), dtype), net.weight(factor))})


def test_sizes_come_from_the_caller_then_metadata_then_defaults():
    net = Net()
    x = net.input("x", ["N", 3, "H", "2*W"])
    model = net.model(y=net.op("Relu", x))
    model.metadata_props["graphc.dims"] = '{"H": {"min": 30, "opt": 64, "multiple_of": 8}, "W": 5}'
    sizes = bindings(model, {"W": 7})
    assert sizes == {"N": 2, "H": 32, "W": 7}
    assert make_feeds(model, 0, 0, sizes, {})["x"].shape == (2, 3, 32, 14)


@pytest.mark.parametrize("text", ["[", "[1]", '{"H": []}', '{"H": {"min": "x"}}', '{"H": null}', "[" * 9999])
def test_broken_dims_metadata_is_an_error(text):
    model = scaled(2.0)
    model.metadata_props["graphc.dims"] = text
    with pytest.raises(GraphcError, match=r"no mapping of names to ranges"):
        check(model, model.clone())


def test_a_model_cannot_ask_for_endless_memory():
    model = scaled(2.0)
    model.metadata_props["graphc.dims"] = '{"N": 1000000000000}'
    with pytest.raises(GraphcError, match="too large to make up"):
        check(model, model.clone())


@pytest.mark.parametrize("kind", ["float", "sequence", "string", "unranked"])
def test_what_cannot_be_made_up_must_be_given(kind):
    net = Net()
    x = net.input("x", [2])
    if kind == "sequence":
        x.type = ir.SequenceType(ir.TensorType(ir.DataType.FLOAT))
    if kind == "string":
        x.type = ir.TensorType(ir.DataType.STRING)
    if kind == "unranked":
        x.shape = None
    model = net.model(y=net.op("Identity", x))
    if kind == "float":
        assert make_feeds(model, 0, 0, {}, {})["x"].shape == (2,)
        return
    with pytest.raises(GraphcError) as caught:
        make_feeds(model, 0, 0, {}, {})
    assert caught.value.code == "run/not-analysed"


def indexed(op_type: str) -> ir.Model:
    """A model whose integer input `i` is used in one of the ways that bound it to 0..6."""
    net = Net()
    i = net.input("i", [5], ir.DataType.INT64)
    table, axes = net.normal(7, 2), net.weight(np.array([1]))
    if op_type == "moved":
        moved = net.op("Concat", net.op("Unsqueeze", i, axes), net.weight(np.zeros((5, 1), np.int64)), axis=1)
        return net.model(y=net.op("Gather", table, moved))
    if op_type == "GatherElements":
        return net.model(y=net.op("GatherElements", table, net.op("Unsqueeze", i, axes)))
    if op_type == "GatherND":
        return net.model(y=net.op("GatherND", table, net.op("Unsqueeze", i, axes)))
    if op_type == "twice":
        return net.model(y=net.op("Gather", net.normal(90), i), z=net.op("Gather", table, i))
    if op_type == "OneHot":
        return net.model(y=net.op("OneHot", i, net.weight(np.array(7)), net.weight(np.array([0.0, 1.0]))))
    return net.model(y=net.op("SoftmaxCrossEntropyLoss", net.normal(5, 7), i))


@pytest.mark.parametrize("use", ["moved", "GatherElements", "GatherND", "twice", "OneHot", "loss"])
def test_integer_inputs_stay_inside_what_they_index(use):
    model = indexed(use)
    if use == "GatherND":  # a tuple of one index: the bound is the smaller axis, which is safe
        model.graph.node(1).inputs[0].const_value = ir.tensor(np.zeros((7, 7), np.float32))
        model.graph.node(1).inputs[0].shape = ir.Shape((7, 7))
    drawn = np.concatenate([make_feeds(model, seed, 0, {}, {})["i"] for seed in range(40)])
    assert set(drawn) == set(range(7))
    assert check(model, model.clone()).passed


def test_bounds_of_recurrent_lengths_labels_and_bytes():
    net = Net()
    x, lengths = net.input("x", ["T", 2, 3]), net.input("n", [2], ir.DataType.INT32)
    hidden = net.op("GRU", x, net.normal(1, 12, 3), net.normal(1, 12, 4), None, lengths, hidden_size=4)
    model = net.model(y=hidden)
    drawn = {int(v) for seed in range(40) for v in make_feeds(model, seed, 0, {"T": 5}, {})["n"]}
    assert drawn == {1, 2, 3, 4, 5}
    assert check(model, model.clone(), dims={"T": 5}).passed
    image = Net()
    pixels = image.input("x", [4000], ir.DataType.UINT8)
    drawn = make_feeds(image.model(y=image.op("Identity", pixels)), 0, 0, {}, {})["x"]
    assert (drawn.dtype, drawn.min(), drawn.max()) == (np.uint8, 0, 255)


def test_seeds_differ_and_repeat():
    model = plain()
    first, again, other = (make_feeds(model, seed, index, {}, {})["x"] for seed, index in ((0, 0), (0, 0), (1, 0)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    spread = [make_feeds(model, 0, index, {}, {})["x"] for index in range(3)]
    assert spread[0].min() < 0 <= spread[1].min() < spread[1].max() <= 1 < spread[2].std()
    assert all(not np.array_equal(x, y) for x, y in itertools.combinations(spread, 2))
