"""Inference of single nodes ends in an answer or an InferenceError, whatever a model says: ONNX's own may crash."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc.inference import InferenceError, Operand, infer

FLOAT, INT64 = ir.TensorType(ir.DataType.FLOAT), ir.TensorType(ir.DataType.INT64)
OPERATORS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if not schema.domain})
HUGE = (2**31, -(2**31) - 1, 10**15, -(10**15), 2**63 - 1, -(2**63), 100, -100)


def _of(*sizes: int, content: Sequence[int] | None = None) -> Operand:
    if content is None:
        return Operand(FLOAT, ir.Shape(sizes))
    return Operand(INT64, ir.Shape(sizes), np.array(content, np.int64).reshape(sizes))


@pytest.mark.parametrize("axis", HUGE)
@pytest.mark.parametrize("rank", range(5))
def test_layer_normalization_of_an_axis_that_is_not_there(axis: int, rank: int) -> None:
    data = _of(*(2,) * rank)
    with pytest.raises(InferenceError, match="axes"):
        infer("LayerNormalization", [data, data], {"axis": ir.AttrInt64("axis", axis)}, outputs=3, opset=17)


@pytest.mark.parametrize("batch_dims", HUGE)
def test_gather_nd_of_more_batches_than_axes(batch_dims: int) -> None:
    attributes = {"batch_dims": ir.AttrInt64("batch_dims", batch_dims)}
    with pytest.raises(InferenceError):
        infer("GatherND", [_of(2, 2), _of(2, content=[0, 1])], attributes, outputs=1, opset=24)


def test_reshape_to_more_axes_than_memory_holds() -> None:
    target = Operand(INT64, ir.Shape([2**40]))
    with pytest.raises(InferenceError, match="axes"):
        infer("Reshape", [_of(2, 2), target], {}, outputs=1, opset=24)


def test_the_size_of_what_64_bits_do_not_count_is_not_known() -> None:
    (found,) = infer("Size", [_of(2**40, 2**40)], {}, outputs=1, opset=24)
    assert found.content is None


def test_stft_of_no_frame_step() -> None:
    """Of a step without an element, which ONNX reads all the same."""
    with pytest.raises(InferenceError):
        infer("STFT", [_of(1, 8, 1), _of(0, content=[]), _of(4)], {}, outputs=1, opset=24)


UNREAD = ("ij-->ij", "i1->i", "i.->i", "i....->i", "i...j...->ij", "ij\t->ij")


@pytest.mark.parametrize("equation", UNREAD)
def test_an_equation_that_onnx_would_read_forever(equation: str) -> None:
    attributes = {"equation": ir.AttrString("equation", equation)}
    with pytest.raises(InferenceError, match="no equation"):
        infer("Einsum", [_of(2, 2)], attributes, outputs=1, opset=20)


def test_an_equation_in_a_branch_that_onnx_would_read_forever() -> None:
    inner = ir.node("Einsum", [ir.val("x")], {"equation": "ij-->ij"})
    branch = ir.Graph([], inner.outputs, nodes=[inner], name="branch")
    attributes = {name: ir.AttrGraph(name, branch) for name in ("then_branch", "else_branch")}
    with pytest.raises(InferenceError, match="no equation"):
        infer("If", [Operand(ir.TensorType(ir.DataType.BOOL), ir.Shape([]))], attributes, outputs=1, opset=20)


@pytest.mark.parametrize("equation", ["ij -> ji", "ij", "...j -> ...", "...", "aB->Ba"])
def test_an_equation_that_onnx_reads(equation: str) -> None:
    (found,) = infer("Einsum", [_of(2, 2)], {"equation": ir.AttrString("equation", equation)}, outputs=1, opset=20)
    assert found.type == FLOAT


@st.composite
def _operands(draw: st.DrawFn, schema: onnx.defs.OpSchema) -> list[Operand | None]:
    count = max(schema.min_input, min(draw(st.integers(0, 5)), schema.max_input)) if schema.inputs else 0
    return [draw(_operand(schema.inputs[min(index, len(schema.inputs) - 1)].types)) for index in range(count)]


@st.composite
def _operand(draw: st.DrawFn, types: Sequence[str]) -> Operand | None:
    known = [each for each in (FLOAT, INT64) if f"tensor({each.dtype.name.lower()})" in types]
    if not known:
        return None
    chosen = draw(st.sampled_from(known))
    sizes = draw(st.lists(st.sampled_from([0, 1, 2, 3, 8, 2**40, None, "N"]), max_size=5))
    if chosen is FLOAT or draw(st.booleans()):
        return Operand(chosen, ir.Shape(sizes))
    content = draw(st.lists(st.sampled_from([*HUGE, 0, 1, -1, 2]), max_size=4))
    return _of(len(content), content=content)


@st.composite
def _attributes(draw: st.DrawFn, schema: onnx.defs.OpSchema) -> dict[str, ir.Attr]:
    found = {}
    for name, attribute in schema.attributes.items():
        kind = str(attribute.type).rpartition(".")[2]
        number = st.sampled_from([*HUGE, 0, 1, -1, 2])
        if kind == "INT" and draw(st.booleans()):
            found[name] = ir.AttrInt64(name, draw(number))
        elif kind == "INTS" and draw(st.booleans()):
            found[name] = ir.AttrInt64s(name, draw(st.lists(number, max_size=5)))
    return found


@settings(max_examples=500, deadline=None)
@given(st.data(), st.sampled_from(OPERATORS), st.sampled_from([9, 11, 13, 17, 24]))
def test_no_operator_ends_in_anything_else(data: st.DataObject, op_type: str, opset: int) -> None:
    if not onnx.defs.has(op_type, max_inclusive_version=opset, domain=""):
        return
    schema = onnx.defs.get_schema(op_type, opset, "")
    operands, attributes = data.draw(_operands(schema)), data.draw(_attributes(schema))
    outputs = max(schema.min_output, min(3, schema.max_output), 1)
    try:
        found = infer(op_type, operands, attributes, outputs=outputs, opset=opset)
    except InferenceError:
        return
    assert len(found) == outputs
