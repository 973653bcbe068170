"""Models that ONNX Runtime fails on, and ONNX's checker mostly accepts, are found by `graphc lint`: one node each."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from graphc_passes.lints.graph.operands_disagree import RULES
from graphc_passes.lints.graph.unknown_mode import WORDS
from onnx.backend.test.case.node import collect_testcases

from graphc import GraphcError, Refusal, View, findings
from graphc.runtime.session import session

IMAGE = (1, 4, 8, 8)
MANY = 1000
IMPLEMENTED_LATE = {"opset": 23}


def of(*sizes: int) -> np.ndarray:
    return np.full(sizes, 0.5, np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def bytes_of(*sizes: int) -> np.ndarray:
    return np.zeros(sizes, np.uint8)


UP = np.array([1, 1, 2, 2], np.float32)
SIZES = ints(1, 4, 16, 16)
SEQUENCE = of(5, 1, 3)
RNN = [SEQUENCE, of(1, 4, 3), of(1, 4, 4)]
LSTM = [SEQUENCE, of(1, 16, 3), of(1, 16, 4), of(1, 32)]
HEADS = of(1, 2, 4, 8)
CELL = {"hidden_size": 4}
MODES: dict[str, tuple[str, Sequence[Any], Mapping[str, Any]]] = {
    "a pad": ("Pad", [of(*IMAGE), ints(0, 0, 1, 1, 0, 0, 1, 1)], {"mode": "foo"}),
    "a resize": ("Resize", [of(*IMAGE), None, UP], {"mode": "foo"}),
    "coordinates": ("Resize", [of(*IMAGE), None, UP], {"coordinate_transformation_mode": "foo"}),
    "a rounding": ("Resize", [of(*IMAGE), None, UP], {"nearest_mode": "foo"}),
    "an auto_pad": ("Conv", [of(*IMAGE), of(4, 4, 3, 3)], {"auto_pad": "foo"}),
    "an auto_pad of a pool": ("MaxPool", [of(*IMAGE)], {"auto_pad": "foo", "kernel_shape": [2, 2]}),
    "blocks": ("DepthToSpace", [of(*IMAGE)], {"blocksize": 2, "mode": "foo"}),
    "a direction": ("LSTM", [SEQUENCE, of(1, 16, 3), of(1, 16, 4)], {"hidden_size": 4, "direction": "foo"}),
    "a grid": ("GridSample", [of(*IMAGE), of(1, 2, 2, 2)], {"mode": "foo"}),
    "a grid of an older opset": ("GridSample", [of(*IMAGE), of(1, 2, 2, 2)], {"mode": "bilinear"}),
    "a grid's border": ("GridSample", [of(*IMAGE), of(1, 2, 2, 2)], {"padding_mode": "foo"}),
    "regions": ("RoiAlign", [of(*IMAGE), of(1, 4), ints(0)], {"mode": "foo"}),
    "a gelu": ("Gelu", [of(*IMAGE)], {"approximate": "foo"}),
    "a shift": ("BitShift", [bytes_of(3), bytes_of(1)], {"direction": "foo"}),
    "an order": ("MaxPool", [of(*IMAGE)], {"kernel_shape": [2, 2], "storage_order": 2}),
    "a norm": ("LpNormalization", [of(*IMAGE)], {"p": 3}),
    "a remainder": ("Mod", [ints(5), ints(3)], {"fmod": 2}),
    "corners": ("NonMaxSuppression", [of(1, 4, 4), of(1, 1, 4)], {"center_point_box": 2}),
    "a time": ("ReverseSequence", [of(4, 3), ints(1, 2, 3)], {"time_axis": 2}),
    "a word and pads": ("MaxPool", [of(*IMAGE)], {"auto_pad": "foo", "kernel_shape": [2, 2], "pads": [1, 1, 1, 1]}),
    "a word for two directions": (
        "RNN",
        [SEQUENCE, of(2, 4, 3), of(2, 4, 4)],
        {"hidden_size": 4, "direction": "foo"},
    ),
    "a word that is no policy": ("Resize", [of(*IMAGE), None, None, SIZES], {"keep_aspect_ratio_policy": "foo"}),
}
OPERANDS: dict[str, tuple[str, Sequence[Any], Mapping[str, Any]]] = {
    "a filter of 9 over 8": ("Conv", [of(*IMAGE), of(4, 4, 9, 9)], {}),
    "with a stride": ("Conv", [of(*IMAGE), of(4, 4, 9, 9)], {"strides": [2, 2]}),
    "a pool that is all pad": ("MaxPool", [of(*IMAGE)], {"kernel_shape": [2, 2], "pads": [2, 2, 2, 2]}),
    "more than a stride": ("ConvTranspose", [of(*IMAGE), of(4, 4, 3, 3)], {"output_padding": [3, 3]}),
    "a C of another size": ("Gemm", [of(2, 3), of(3, 4), of(5)], {}),
    "an instance norm": ("InstanceNormalization", [of(*IMAGE), of(5), of(5)], {}),
    "the shift of one": ("InstanceNormalization", [of(*IMAGE), of(4), of(5)], {}),
    "a layer norm": ("LayerNormalization", [of(*IMAGE), of(5)], {}),
    "the shift of a layer norm": ("LayerNormalization", [of(*IMAGE), of(8), of(5)], {}),
    "a group norm": ("GroupNormalization", [of(*IMAGE), of(5), of(5)], {"num_groups": 2, "opset": 21}),
    "groups": ("GroupNormalization", [of(*IMAGE), of(4), of(4)], {"num_groups": 3, "opset": 21}),
    "a mean square": ("RMSNormalization", [of(*IMAGE), of(5)], IMPLEMENTED_LATE),
    "slopes": ("PRelu", [of(*IMAGE), of(5)], {}),
    "slopes along the width": ("PRelu", [of(*IMAGE), of(4)], {}),
    "a target": ("Reshape", [of(*IMAGE), ints(3, 5)], {}),
    "an order": ("Transpose", [of(*IMAGE)], {"perm": [0, 1]}),
    "gates": ("LSTM", [SEQUENCE, of(1, 16, 4), of(1, 16, 4)], {"hidden_size": 4}),
    "their recurrence": ("LSTM", [SEQUENCE, of(1, 16, 3), of(1, 16, 5)], {"hidden_size": 4}),
    "their biases": ("LSTM", [SEQUENCE, of(1, 16, 3), of(1, 16, 4), of(1, 16)], {"hidden_size": 4}),
    "one direction of two": (
        "LSTM",
        [SEQUENCE, of(1, 16, 3), of(1, 16, 4)],
        {"hidden_size": 4, "direction": "bidirectional"},
    ),
    "four gates of three": ("GRU", [SEQUENCE, of(1, 16, 3), of(1, 12, 4)], {"hidden_size": 4}),
    "five units of four": ("RNN", [SEQUENCE, of(1, 5, 3), of(1, 4, 4)], {"hidden_size": 4}),
    "an axis of scales": ("QuantizeLinear", [of(*IMAGE), of(4), bytes_of(4)], {"axis": 7}),
    "scales": ("QuantizeLinear", [of(*IMAGE), of(5), bytes_of(5)], {"axis": 1}),
    "scales of integers": ("DequantizeLinear", [bytes_of(*IMAGE), of(5)], {"axis": 1}),
    "an index": ("Gather", [of(*IMAGE), ints(9)], {"axis": 1}),
    "an index of elements": ("GatherElements", [of(2, 3), np.full((1, 3), 9)], {"axis": 1}),
    "coordinates": ("GatherND", [of(2, 3), np.full((1, 2), 9)], {}),
    "channels in blocks": ("DepthToSpace", [of(1, 6, 8, 8)], {"blocksize": 4}),
    "rows in blocks": ("SpaceToDepth", [of(*IMAGE)], {"blocksize": 3}),
    "a reflection": ("Pad", [of(*IMAGE), ints(0, 0, 9, 9, 0, 0, 9, 9)], {"mode": "reflect"}),
    "an axis to sum along": ("CumSum", [of(*IMAGE), np.array(9)], {}),
    "no channels to sum over": ("LRN", [of(*IMAGE)], {"size": 0}),
    "two bounds": ("Clip", [of(*IMAGE), of(2)], {}),
    "a letter for two sizes": ("Einsum", [of(3, 4), of(5, 6)], {"equation": "ij,jk->ik"}),
    "lengths": ("ReverseSequence", [of(4, 3), ints(1, 2)], {}),
    "coordinates without an axis": ("ScatterND", [of(4, 3), np.zeros((2, 3), np.int64), of(2)], {}),
    "fewer updates": ("ScatterElements", [of(4, 3), np.zeros((2, 3), np.int64), of(2, 2)], {}),
    "no step": ("Range", [np.array(0.0), np.array(3.0), np.array(0.0)], {}),
    "a ratio": ("Dropout", [of(*IMAGE), np.array(1.5, np.float32), np.array(True)], {}),
    "scales of a filter": (
        "QLinearConv",
        [bytes_of(*IMAGE), of(), bytes_of(), bytes_of(4, 4, 3, 3), of(5), bytes_of(5), of(), bytes_of()],
        {},
    ),
    "boxes of five": ("NonMaxSuppression", [of(1, 4, 5), of(1, 1, 4)], {}),
    "boxes of another batch": ("NonMaxSuppression", [of(1, 4, 4), of(2, 1, 4)], {}),
    "fewer scores": ("NonMaxSuppression", [of(1, 4, 4), of(1, 1, 5)], {}),
    "regions of five": ("RoiAlign", [of(*IMAGE), of(1, 5), ints(0)], {}),
    "another image": ("RoiAlign", [of(*IMAGE), of(1, 4), ints(3)], {}),
    "regions of four": ("MaxRoiPool", [of(*IMAGE), of(1, 4)], {"pooled_shape": [2, 2]}),
    "places of another shape": (
        "MaxUnpool",
        [of(1, 1, 2, 2), np.zeros((1, 1, 2, 1), np.int64)],
        {"kernel_shape": [2, 2]},
    ),
    "columns": ("Col2Im", [of(1, 4, 9), ints(5, 5), ints(2, 2)], {}),
    "rows": ("Col2Im", [of(1, 5, 16), ints(5, 5), ints(2, 2)], {}),
    "offsets": ("DeformConv", [of(1, 1, 3, 3), of(1, 1, 2, 2), of(1, 8, 3, 2)], {}),
    "rotations": ("AffineGrid", [of(2, 2, 2), ints(2, 3, 4, 5)], {}),
    "pads beside a word": ("Conv", [of(*IMAGE), of(4, 4, 3, 3)], {"auto_pad": "SAME_UPPER", "pads": [1, 1, 1, 1]}),
    "an output out of reach": ("ConvTranspose", [of(*IMAGE), of(4, 4, 3, 3)], {"output_shape": [99, 99]}),
    "a letter made twice": ("Einsum", [of(3, 4)], {"equation": "ij->ijj"}),
    "a letter for two axes": ("Einsum", [of(3, 4)], {"equation": "ii->i"}),
    "ellipses": ("Einsum", [of(2, 3, 4), of(3, 4, 5)], {"equation": "...ij,...jk->...ik"}),
    "a lost ellipsis": ("Einsum", [of(2, 3, 4)], {"equation": "...ij->ij"}),
    "no hidden size": ("LSTM", LSTM, {}),
    "a state": ("LSTM", [*LSTM, None, of(1, 1, 5)], CELL),
    "a cell": ("LSTM", [*LSTM, None, of(1, 1, 4), of(1, 1, 5)], CELL),
    "lengths of another batch": ("LSTM", [*LSTM, np.array([5, 5], np.int32)], CELL),
    "a longer sequence": ("LSTM", [*LSTM, np.array([9], np.int32)], CELL),
    "an activation": ("RNN", RNN, {**CELL, "activations": ["Foo"]}),
    "one activation of three": ("LSTM", LSTM, {**CELL, "activations": ["Sigmoid"]}),
    "time and batch": ("ReverseSequence", [of(4, 3), ints(1, 2, 3)], {"time_axis": 1, "batch_axis": 1}),
    "more steps than there are": ("ReverseSequence", [of(4, 3), ints(1, 2, 9)], {}),
    "a zero point": ("QuantizeLinear", [of(*IMAGE), of(4), bytes_of(5)], {"axis": 1}),
    "blocks of scales": (
        "DequantizeLinear",
        [bytes_of(*IMAGE), of(1, 4, 3, 8)],
        {"axis": 2, "block_size": 2, "opset": 21},
    ),
    "a scale of two axes": ("QuantizeLinear", [of(*IMAGE), of(2, 2)], {"axis": 1}),
    "columns of a product": ("MatMulInteger", [bytes_of(2, 3), bytes_of(3, 4), bytes_of(), bytes_of(5)], {}),
    "zeros of the data": ("ConvInteger", [bytes_of(*IMAGE), bytes_of(4, 4, 3, 3), bytes_of(4)], {}),
    "indices of fewer axes": ("GatherElements", [of(2, 3), ints(0, 1)], {}),
    "more indices than data": ("ScatterElements", [of(4, 3), np.zeros((5, 3), np.int64), of(5, 3)], {"axis": 1}),
    "an axis of elements": ("GatherElements", [of(2, 3), np.zeros((2, 3), np.int64)], {"axis": 2}),
    "axes that are no list": ("ReduceMean", [of(*IMAGE), np.array(1)], {}),
    "a target that is no list": ("Reshape", [of(*IMAGE), np.array(256)], {}),
    "zeros that are sizes": ("Reshape", [of(2, 3, 4), ints(2, 0, 12)], {"allowzero": 2}),
    "starts that are no list": ("Slice", [of(*IMAGE), np.array(0), np.array(2)], {}),
    "factors of nothing": ("Resize", [of(*IMAGE), None, np.array([1, 1, 0, 2], np.float32)], {}),
    "a region for some axes": (
        "Resize",
        [of(*IMAGE), of(2), UP],
        {"coordinate_transformation_mode": "tf_crop_and_resize"},
    ),
    "a smooth nearest": ("Resize", [of(*IMAGE), None, UP], {"antialias": 1}),
    "two values to pad with": ("Pad", [of(*IMAGE), ints(*[1] * 8), of(2)], {}),
    "a reflection of one axis": ("Pad", [of(*IMAGE), ints(9, 9), None, ints(2)], {"mode": "reflect"}),
    "two axes to sum along": ("CumSum", [of(3), ints(0, 1)], {}),
    "two diagonals": ("Trilu", [of(3, 3), ints(0, 1)], {}),
    "a division by zero": ("Div", [ints(2, 3), ints(0, 1)], {}),
    "a remainder of fractions": ("Mod", [of(2), of(2)], {}),
    "a norm of an axis": ("LpNormalization", [of(*IMAGE)], {"axis": 4}),
    "a pool of no axis": ("GlobalAveragePool", [of(1, 4)], {}),
    "labels of another batch": ("SoftmaxCrossEntropyLoss", [of(3, 5), ints(1, 2)], {}),
    "labels without a class": ("NegativeLogLikelihoodLoss", [of(3, 5), ints(1, 2, 7)], {}),
    "a past of two lengths": (
        "Attention",
        [HEADS, HEADS, HEADS, None, of(1, 2, 5, 8), of(1, 2, 3, 8)],
        IMPLEMENTED_LATE,
    ),
    "a mask": ("Attention", [HEADS, HEADS, HEADS, of(4, 7)], IMPLEMENTED_LATE),
    "keys": ("Attention", [HEADS, of(1, 2, 6, 7), HEADS], IMPLEMENTED_LATE),
    "values": ("Attention", [HEADS, of(1, 2, 6, 8), of(1, 2, 5, 8)], IMPLEMENTED_LATE),
    "heads": ("Attention", [of(1, 3, 4, 8), HEADS, HEADS], IMPLEMENTED_LATE),
    "a past": ("Attention", [HEADS, HEADS, HEADS, None, of(1, 2, 5, 7), of(1, 2, 5, 8)], IMPLEMENTED_LATE),
    "cosines": ("RotaryEmbedding", [HEADS, of(1, 4, 3), of(1, 4, 3)], IMPLEMENTED_LATE),
    "cosines and sines": ("RotaryEmbedding", [HEADS, of(1, 4, 4), of(1, 5, 4)], IMPLEMENTED_LATE),
}
# What ONNX forbids and ONNX Runtime runs.
DOUBTFUL: dict[str, tuple[str, Sequence[Any], Mapping[str, Any]]] = {
    "a reduction": ("ScatterND", [of(4), np.array([[0]]), of(1)], {"reduction": "sum"}),
    "of elements": ("ScatterElements", [of(4), ints(0), of(1)], {"reduction": "sum"}),
    "of a loss": ("SoftmaxCrossEntropyLoss", [of(3, 5), ints(1, 2, 3)], {"reduction": "foo"}),
    "a rounding of no use": ("Resize", [of(*IMAGE), None, UP], {"mode": "linear", "nearest_mode": "foo"}),
    "labels from the end": ("NegativeLogLikelihoodLoss", [of(3, 5), ints(1, 2, -1)], {}),
    "data that are repeated": ("PRelu", [of(4, 1), of(4, 3)], {}),
    "a scale that is repeated": ("GroupNormalization", [of(*IMAGE), of(1), of(1)], {"num_groups": 2, "opset": 21}),
}
REFUSED = {
    "an axis beyond the last": ("LayerNormalization", [of(*IMAGE), of(8)], {"axis": 4}),
    "no equation": ("Einsum", [of(3, 4)], {"equation": "ij->1"}),
}
CHANNELS = {"a bias of two axes": ("Conv", [of(*IMAGE), of(4, 4, 3, 3), of(1, 4)], {})}


def model_of(op_type: str, operands: Sequence[Any], attributes: Mapping[str, Any]) -> ir.Model:
    """One node; its first operand is an input, the others are constants."""
    given = dict(attributes)
    opset = given.pop("opset", 20)
    schema = onnx.defs.get_schema(op_type, opset)
    values: list[ir.Value | None] = []
    for index, operand in enumerate(operands):
        if operand is None:
            values.append(None)
            continue
        dtype = ir.DataType.from_numpy(operand.dtype)
        value = ir.val(f"v{index}", type=ir.TensorType(dtype), shape=ir.Shape(operand.shape))
        if index:
            value.const_value = ir.tensor(operand, name=value.name)
        values.append(value)
    node = ir.node(op_type, values, given, num_outputs=max(1, schema.min_output), name="node")
    for index, value in enumerate(node.outputs):
        value.name = f"y{index}"
    weights = [value for value in values[1:] if value is not None]
    first = values[0]
    assert first is not None
    found = ir.Graph([first], node.outputs, nodes=[node], initializers=weights, opset_imports={"": opset}, name="g")
    model = ir.Model(found, ir_version=10)
    proto = onnx.shape_inference.infer_shapes(ir.to_proto(model))
    for value, told in zip(found.outputs, proto.graph.output, strict=True):
        value.type = ir.serde.deserialize_type_proto_for_type(told.type)
        value.shape = ir.serde.deserialize_type_proto_for_shape(told.type)
    return model


@pytest.mark.parametrize(
    ("lint", "op_type", "operands", "attributes"),
    [
        pytest.param(lint, *made, id=f"{made[0]}-{name}")
        for lint, table in (
            ("graph/unknown-mode", MODES),
            ("graph/operands-disagree", OPERANDS),
            ("graph/conv-channel-mismatch", CHANNELS),
            ("graph/checker-error", REFUSED),
        )
        for name, made in table.items()
    ],
)
def test_what_onnx_runtime_fails_on_is_found(
    lint: str, op_type: str, operands: Sequence[Any], attributes: Mapping[str, Any]
) -> None:
    model = model_of(op_type, operands, attributes)
    with pytest.raises(GraphcError) as failed, session(model) as run:
        run.run({"v0": operands[0]})
    assert failed.value.code == "run/session-failed"
    found = [each for each in findings(model) if each.severity == "error"]
    assert [(each.lint, each.node) for each in found] == [(lint, "node")]


@pytest.mark.parametrize(("op_type", "operands", "attributes"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_what_onnx_forbids_and_onnx_runtime_runs_is_a_warning(
    op_type: str, operands: Sequence[Any], attributes: Mapping[str, Any]
) -> None:
    model = model_of(op_type, operands, attributes)
    with session(model) as run:
        run.run({"v0": operands[0]})
    found = [each for each in findings(model) if each.lint in ("graph/unknown-mode", "graph/operands-disagree")]
    assert [(each.severity, each.node) for each in found] == [("warning", "node")]


def test_nothing_is_said_of_the_models_that_onnx_tests_runtimes_with() -> None:
    with warnings.catch_warnings(action="ignore"):  # some cases overflow on purpose
        models = [case.model for case in collect_testcases(None) if case.model is not None]
    assert len(models) > MANY
    names = ("graph/unknown-mode", "graph/operands-disagree", "graph/checker-error", "graph/unknown-op")
    assert not [str(each) for model in models for each in findings(ir.from_proto(model), *names)]


@pytest.mark.parametrize("op_type", RULES)
def test_a_rule_reads_its_operator_in_every_opset(op_type: str) -> None:
    for opset in range(1, onnx.defs.onnx_opset_version() + 1):
        if not onnx.defs.has(op_type, max_inclusive_version=opset, domain=""):
            continue
        schema = onnx.defs.get_schema(op_type, opset, "")
        count = min(schema.max_input, 8)
        for rank in range(5):
            inputs = [ir.val(f"v{index}", shape=ir.Shape([4] * rank)) for index in range(count)]
            node = ir.node(op_type, inputs, num_outputs=max(1, schema.min_output))
            with suppress(Refusal):
                RULES[op_type](View(node, opset))


def test_words_are_those_of_attributes() -> None:
    for op_type, attributes in WORDS.items():
        schema = onnx.defs.get_schema(op_type)
        for name, changes in attributes.items():
            assert name in schema.attributes
            default = schema.attributes[name].default_value.s.decode()
            assert not default or any(default in words for _, *words in changes), (op_type, name)
