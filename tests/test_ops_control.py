"""Loops, scans, branches and calls: bodies at their shapes, forward and backward."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from one_node import FLOAT, value

from graphc.costs import Cost
from graphc.ops import Scope, cost_of, op_of
from graphc.ops.bodies import MAX_DEPTH
from graphc.view import Refusal, View

BOOL, INT = ir.DataType.BOOL, ir.DataType.INT64
OPSET = 20


def constant(name, content):
    made = value(name, np.shape(content), ir.DataType.from_numpy(np.asarray(content).dtype))
    made.const_value = ir.tensor(np.asarray(content))
    return made


def graph(inputs, nodes, outputs, name="body"):
    return ir.Graph(inputs, outputs, nodes=nodes, opset_imports={"": OPSET}, name=name)


def loop(trips, state, weight, *, condition=None, ends=None):
    """state ← relu(state·weight), `trips` times; `ends` makes the body's condition of the state."""
    i, c, s = value("i", (), INT), value("c", (), BOOL), value("s", None)
    on = ir.node("Identity", [c], outputs=[value("on", (), BOOL)]) if ends is None else ends(s)
    product = ir.node("MatMul", [s, weight], outputs=[value("p", None)])
    out = ir.node("Relu", product.outputs, outputs=[value("r", None)])
    body = graph([i, c, s], [on, product, out], [on.outputs[0], out.outputs[0]])
    return ir.node("Loop", [trips, condition, state], {"body": body}, outputs=[value("last", state.shape)])


def steps(node, **given):
    return op_of(node, Scope(**given)).forward(View(node, OPSET))


def test_a_loop_costs_its_trips():
    state, weight = value("x", (2, 3)), value("w", (3, 3))
    for trips in (0, 1, 7):
        found = steps(loop(constant("n", np.array(trips)), state, weight))
        assert (found.mac, found.cmp) == (trips * 18, trips * 6)
    for start, times in ((True, 7), (False, 0)):
        found = steps(loop(constant("n", np.array(7)), state, weight, condition=constant("on", np.array(start))))
        assert found.mac == times * 18


def test_a_loop_that_data_ends_is_uncosted():
    state, weight = value("x", (2, 3)), value("w", (3, 3))

    def by_state(s):
        flat = ir.node("ReduceMax", [s], {"keepdims": 0}, outputs=[value("m", (), FLOAT)])
        return ir.node("IsNaN", flat.outputs, outputs=[value("on", (), BOOL)])

    unknown = [
        loop(value("n", (), INT), state, weight),
        loop(None, state, weight, condition=constant("on", np.array(True))),
        loop(constant("n", np.array(7)), state, weight, condition=value("on", (), BOOL)),
        loop(constant("n", np.array(7)), state, weight, ends=by_state),
    ]
    for node in unknown:
        with pytest.raises(Refusal, match="known only at run time"):
            steps(node)
        assert cost_of(node, OPSET) is None


def test_a_state_that_grows_is_uncosted():
    i, c, s = value("i", (), INT), value("c", (), BOOL), value("s", None)
    on = ir.node("Identity", [c], outputs=[value("on", (), BOOL)])
    twice = ir.node("Concat", [s, s], {"axis": 0}, outputs=[value("t", None)])
    body = graph([i, c, s], [on, twice], [on.outputs[0], twice.outputs[0]])
    node = ir.node("Loop", [constant("n", np.array(3)), None, value("x", (2,))], {"body": body})
    with pytest.raises(Refusal, match="changes its shape"):
        steps(node)


def test_the_backward_pass_of_a_body():
    """Towards the state and the captured weight, every trip; what the body keeps, every trip, the weight once."""
    state, weight = value("x", (2, 3)), value("w", (3, 3))
    node = loop(constant("n", np.array(5)), state, weight)
    op, view = op_of(node), View(node, OPSET)
    back = op.shared(view)
    assert (back.mac, back.cmp) == (5 * 2 * 18, 5 * 6)
    assert [op.differentiable(view, index) for index in (0, 2)] == [False, True]
    assert op.toward(view, 2) == Cost()
    kept = {saved.value: saved.bytes for saved in op.saved(view, frozenset({2}))}
    assert kept == {weight: 4 * 9, None: 5 * (4 * 6 + 4 * 6)}  # the product's operand and relu's output


def test_costing_leaves_the_model_alone():
    state, weight = value("x", (2, 3)), value("w", (3, 3))
    node = loop(constant("n", np.array(5)), state, weight)
    before = weight.uses()
    steps(node)
    op_of(node).shared(View(node, OPSET))
    assert weight.uses() == before
    (inner,) = (n for n in node.attributes["body"].as_graph() if n.op_type == "MatMul")
    assert inner.outputs[0].shape is None


def test_a_scan_costs_its_length():
    s, x, weight = value("s", None), value("x", None), value("w", (4, 4))
    product = ir.node("MatMul", [x, weight], outputs=[value("p", None)])
    total = ir.node("Add", [s, product.outputs[0]], outputs=[value("t", None)])
    again = ir.node("Identity", total.outputs, outputs=[value("y", None)])
    body = graph([s, x], [product, total, again], [total.outputs[0], again.outputs[0]])
    for axis, shape in ((0, (7, 2, 4)), (1, (2, 7, 4))):
        attributes = {
            "body": body.clone(allow_outer_scope_values=True),
            "num_scan_inputs": 1,
            "scan_input_axes": [axis],
        }
        node = ir.node("Scan", [value("start", (2, 4)), value("xs", shape)], attributes, num_outputs=2)
        found = steps(node)
        assert (found.mac, found.add) == (7 * 2 * 16, 7 * 8)
        assert op_of(node).shared(View(node, OPSET)).mac == 2 * 7 * 2 * 16


def branches(*operators):
    x = value("x", (2, 3))
    made = []
    for index, op_type in enumerate(operators):
        node = ir.node(op_type, [x], outputs=[value(f"b{index}", (2, 3))])
        made.append(graph([], [node], node.outputs, name=f"branch{index}"))
    return dict(zip(("then_branch", "else_branch"), made, strict=True))


def test_a_choice_costs_its_dearest_branch():
    for operators in (("Gelu", "Relu"), ("Relu", "Gelu")):
        found = steps(ir.node("If", [value("c", (), BOOL)], branches(*operators)))
        assert found.transcendental == 6
    for decided, transcendental in ((True, 0), (False, 6)):
        node = ir.node("If", [constant("c", np.array(decided))], branches("Relu", "Gelu"))
        assert steps(node).transcendental == transcendental


def test_what_is_uncosted_in_a_body_makes_the_whole_uncosted():
    node = ir.node("If", [value("c", (), BOOL)], branches("Relu", "Mystery"))
    with pytest.raises(Refusal, match=r"in its body: Mystery is not an operator"):
        steps(node)


def test_bodies_within_bodies():
    state, weight = value("x", (2, 3)), value("w", (3, 3))
    s = value("outer", None)
    inner = loop(constant("n", np.array(5)), s, weight)
    i, c = value("i", (), INT), value("c", (), BOOL)
    on = ir.node("Identity", [c], outputs=[value("on", (), BOOL)])
    body = graph([i, c, s], [on, inner], [on.outputs[0], inner.outputs[0]])
    node = ir.node("Loop", [constant("m", np.array(3)), None, state], {"body": body})
    inner.outputs[0].shape = ir.Shape([2, 3])
    assert steps(node).mac == 3 * 5 * 18


# ---------------------------------------------------------------- functions


def function(name, nodes, inputs, outputs, attributes=()):
    return ir.Function("local", name, graph=graph(inputs, nodes, outputs), attributes=list(attributes))


def test_a_call_costs_its_body_at_its_own_shapes_and_attributes():
    x = value("x", None)
    concat = ir.node("Concat", [x, x], outputs=[value("y", None)])
    concat.attributes["axis"] = ir.RefAttr("axis", "along", ir.AttributeType.INT)
    relu = ir.node("Relu", concat.outputs, outputs=[value("z", None)])
    zero = ir.node("Constant", [], {"value": ir.tensor(np.array(0))}, outputs=[value("zero", (), INT)])
    reduced = ir.node("CumSum", [relu.outputs[0], zero.outputs[0]], outputs=[value("r", None)])
    body = function("F", [concat, relu, zero, reduced], [x], reduced.outputs, [ir.AttrInt64("along", 0)])
    functions = {body.identifier(): body}
    for shape in ((2, 3), (5, 7)):
        size = 2 * shape[0] * shape[1]
        call = ir.node("F", [value("a", shape)], {"along": 1}, domain="local")
        found = cost_of(call, OPSET, functions)
        assert (found.cmp, found.add) == (size, size)
        assert op_of(call, Scope(functions)).shared(View(call, OPSET)).cmp == size
    assert concat.attributes["axis"].is_ref()


def test_functions_that_call_functions():
    def calling(name, inner):
        x = value("x", None)
        call = ir.node(inner, [x], domain="local" if inner.startswith("F") else "", outputs=[value("y", None)])
        return function(name, [call], [x], call.outputs)

    made = [calling("F0", "Relu"), *(calling(f"F{depth}", f"F{depth - 1}") for depth in range(1, MAX_DEPTH + 4))]
    functions = {each.identifier(): each for each in made}
    shallow = ir.node("F3", [value("a", (2, 3))], domain="local")
    assert cost_of(shallow, OPSET, functions).cmp == 6
    deep = ir.node(f"F{MAX_DEPTH + 3}", [value("a", (2, 3))], domain="local")
    assert cost_of(deep, OPSET, functions) is None
    itself = calling("F", "F")
    endless = ir.node("F", [value("a", (2, 3))], domain="local")
    assert cost_of(endless, OPSET, {itself.identifier(): itself}) is None


def test_functions_that_call_functions_twice_over():
    """2¹⁵ calls, of sixteen functions: calls that look alike are counted once."""
    made = []
    for depth in range(MAX_DEPTH):
        x = value("x", None)
        inner, domain = (f"F{depth - 1}", "local") if depth else ("Relu", "")
        first = ir.node(inner, [x], domain=domain, outputs=[value("y", None)])
        second = ir.node(inner, first.outputs, domain=domain, outputs=[value("z", None)])
        made.append(function(f"F{depth}", [first, second], [x], second.outputs))
    functions = {each.identifier(): each for each in made}
    call = ir.node(f"F{MAX_DEPTH - 1}", [value("a", (2, 3))], domain="local")
    assert cost_of(call, OPSET, functions).cmp == 6 * 2**MAX_DEPTH
    assert op_of(call, Scope(functions)).shared(View(call, OPSET)).cmp == 6 * 2**MAX_DEPTH


def test_functions_inside_a_loop():
    x = value("x", None)
    relu = ir.node("Relu", [x], outputs=[value("y", None)])
    body = function("F", [relu], [x], relu.outputs)
    i, c, s = value("i", (), INT), value("c", (), BOOL), value("s", None)
    on = ir.node("Identity", [c], outputs=[value("on", (), BOOL)])
    call = ir.node("F", [s], domain="local", outputs=[value("r", None)])
    looped = graph([i, c, s], [on, call], [on.outputs[0], call.outputs[0]])
    node = ir.node("Loop", [constant("n", np.array(4)), None, value("x", (2, 3))], {"body": looped})
    assert cost_of(node, OPSET, {body.identifier(): body}).cmp == 4 * 6
    assert cost_of(node, OPSET) is None


def test_onnxs_own_scan_case():
    """The cumulative sum of the standard: one Add of two elements in each of three steps."""
    with_scan = onnx.parser.parse_model("""
        <ir_version: 9, opset_import: ["" : 20]>
        agraph (float[2] start, float[3, 2] x) => (float[2] last, float[3, 2] all) {
            last, all = Scan <num_scan_inputs = 1, body = step (float[2] s, float[2] x1) => (float[2] t, float[2] y) {
                t = Add (s, x1)
                y = Identity (t)
            }> (start, x)
        }""")  # fmt: skip
    (node,) = ir.from_proto(with_scan).graph
    assert cost_of(node).add == 6
