"""Expansion: what each form of an item means, and what is reported when it means nothing.

Meanings are checked by running the model with ONNX's reference evaluator against arithmetic written out here, on
numbers that float32 holds exactly, so results are compared for equality.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from graphc.errors import GraphcError
from graphc.limits import Limits
from graphc.spec.doors import build, expand, expand_text
from graphc.spec.network import Network

X = np.arange(-8, 8, dtype=np.float32).reshape(1, 2, 2, 4)


def spec(nodes: str, sections: str = "", *, inputs: str = '{x: "f32[1, 2, 2, 4]"}', outputs: str = "[y]") -> str:
    return f"graphc: 1\ninputs: {inputs}\noutputs: {outputs}\n{sections}nodes:\n{nodes}\n"


def model_of(network: Network) -> onnx.ModelProto:
    network.fill()
    proto = ir.to_proto(network.model())
    onnx.checker.check_model(proto, full_check=True)
    return proto


def run(text: str, *arrays: np.ndarray, **arguments: Any) -> Any:
    """The first output for the given inputs, X when there are none."""
    proto = model_of(expand_text(text, **arguments))
    names = [one.name for one in proto.graph.input]
    return ReferenceEvaluator(proto).run(None, dict(zip(names, arrays or (X,), strict=True)))[0]


def names(network: Network) -> list[str | None]:
    return [node.name for node in network.nodes]


def refused(text: str, **arguments: Any) -> list[GraphcError]:
    with pytest.raises(GraphcError) as caught:
        expand_text(text, **arguments)
    return list(caught.value.all)


def only(text: str, **arguments: Any) -> GraphcError:
    (error,) = refused(text, **arguments)
    return error


def pointed(error: GraphcError) -> str:
    """The text that the caret points at."""
    assert error.where is not None
    return error.where.text[error.where.column - 1 :]


# ---------------------------------------------------------------- forms of items


@pytest.mark.parametrize(
    "item",
    [
        "{id: y, scale: 2}",
        "{id: y, scale: {factor: 2}}",
        "{id: y, scale: =1 + 1}",
        "{id: y, scale: 2, from: x}",
        "{id: y, scale: 2, from: [x]}",
        "{id: y, op: add, from: [x, x]}",
        "{id: y, Add: , from: [x, x]}",
        "{id: y, Mul: {}, from: [x, 2]}",
        "{id: y, Mul: {}, from: [x, =4 / 2]}",
        "{id: y, do: [{scale: 4}, {scale: 0.5}]}",
        "{id: y, repeat: 1, do: [{scale: 2}]}",
        "{id: y, residual: []}",
        "{id: y, branch: {paths: [[], []], merge: add}}",
    ],
)
def test_one_meaning_many_spellings(item: str) -> None:
    assert np.array_equal(run(spec(f"  - {item}")), 2 * X)


def test_a_bare_name_takes_the_output_before_it() -> None:
    assert np.array_equal(run(spec("  - relu\n  - {id: y, op: neg}")), -np.maximum(X, 0))


def test_when_leaves_an_item_out() -> None:
    text = spec(
        "  - {when: =n > 1, scale: 2}\n  - {when: =n > 2, scale: 3}\n  - {id: y, scale: 5}",
        "params: {n: 2}\n",
    )
    assert np.array_equal(run(text), 10 * X)
    assert np.array_equal(run(text, params={"n": 1}), 5 * X)


def test_items_that_exclude_each_other_may_share_an_id() -> None:
    text = spec("  - {id: y, when: =a, scale: 2}\n  - {id: y, when: =not a, scale: 3}", "params: {a: true}\n")
    assert np.array_equal(run(text), 2 * X)
    assert np.array_equal(run(text, params={"a": False}), 3 * X)


def test_repeat_counts_from_zero() -> None:
    assert np.array_equal(run(spec("  - {id: y, repeat: 3, do: [{scale: =2**i}]}")), 8 * X)


def test_repeat_names_its_variable_and_goes_over_a_list() -> None:
    assert np.array_equal(run(spec("  - {id: y, repeat: {d: [1, 2, 4]}, do: [{shift: =d}]}")), X + 7)


def test_repeat_of_nothing_is_the_identity() -> None:
    assert np.array_equal(run(spec("  - {id: y, repeat: 0, do: [{scale: 3}]}")), X)


def test_prev_carries_a_value_through_a_loop() -> None:
    text = spec("  - {id: q, scale: 2}\n  - {id: y, from: x, repeat: 3, do: [{op: add, from: [prev, q]}]}")
    assert np.array_equal(run(text), X + 3 * 2 * X)


def test_prev_may_carry_several_values() -> None:
    text = spec(
        "  - {id: a, scale: 2}\n"
        "  - {id: m, from: [x, a], repeat: 2, do: [{op: both, from: [prev.0, prev.1]}]}\n"
        "  - {id: y, op: sub, from: [m.sum, m.1]}",
        BLOCKS,
    )
    first = 3 * X, -X  # sum and difference
    assert np.array_equal(run(text), sum(first) - (first[0] - first[1]))


def test_a_loop_that_loses_a_value_is_found_where_it_is_missed() -> None:
    text = spec("  - {from: [x, x], repeat: 2, do: [{op: add, from: [prev.0, prev.1]}]}\n  - {id: y, op: relu}")
    errors = refused(text)
    assert [error.message for error in errors] == ["'prev' has no member '0'", "'prev' has no member '1'"]
    assert errors[0].notes[0].message == "in repeat i=1"


def test_prev_is_a_value_in_expressions() -> None:
    shape = run(spec("  - relu\n  - {id: y, conv: {out: '=3 * dim(prev, 1)', k: 1}}")).shape
    assert shape == (1, 6, 2, 4)


def test_residual_scales_its_body_and_maps_its_shortcut() -> None:
    text = spec("  - {id: y, residual: {do: [{scale: 2}], shortcut: [{scale: 3}], scale: 0.25, act: relu}}")
    assert np.array_equal(run(text), np.maximum(3 * X + 0.25 * 2 * X, 0))


@pytest.mark.parametrize(
    ("merge", "expected"),
    [("add", 2 * X + X), ("mul", 2 * X * X), ("concat", np.concatenate([2 * X, X], axis=1))],
)
def test_branch_merges_its_paths(merge: str, expected: np.ndarray) -> None:
    text = spec(f"  - {{id: y, branch: {{paths: [[{{scale: 2}}], []], merge: {merge}, act: relu}}}}")
    assert np.array_equal(run(text), np.maximum(expected, 0))


def test_branch_concatenates_on_another_axis() -> None:
    text = spec("  - {id: y, branch: {paths: [[relu], [], [neg]], axis: 3}}")
    assert np.array_equal(run(text), np.concatenate([np.maximum(X, 0), X, -X], axis=3))


def test_members_of_several_outputs_have_dotted_names() -> None:
    text = spec("  - {id: half, split: 2}\n  - {id: y, op: sub, from: [half.1, half.0]}")
    assert np.array_equal(run(text), X[:, 1:] - X[:, :1])


def test_an_output_may_be_an_alias_of_an_input() -> None:
    proto = model_of(expand_text(spec("  - {id: y, do: []}\n  - {id: z, op: dropout}", outputs="[y, z]")))
    assert [one.name for one in proto.graph.output] == ["y", "z"]


# ---------------------------------------------------------------- blocks

BLOCKS = """\
params: {k: 3}
blocks:
  times: {params: {by: null, then: =by * k}, do: [{scale: =by}, {shift: =then}]}
  both:
    inputs: [a, b]
    outputs: [sum, diff]
    do: [{id: sum, op: add, from: [a, b]}, {id: diff, op: sub, from: [a, b]}]
  wide: {let: {n: "=dim(x, 1)", m: =2 * n}, do: [{conv: {out: =m, k: 1}}]}
"""


def test_a_block_takes_its_first_parameter_alone_or_all_by_name() -> None:
    assert np.array_equal(run(spec("  - {id: y, times: 2}", BLOCKS)), 2 * X + 6)
    assert np.array_equal(run(spec("  - {id: y, times: {by: 2, then: 1}}", BLOCKS)), 2 * X + 1)
    assert np.array_equal(run(spec("  - {id: y, repeat: 2, do: [{times: =i + 1}]}", BLOCKS)), 2 * (X + 3) + 6)


def test_a_block_has_named_inputs_and_outputs() -> None:
    text = spec(
        "  - {id: q, scale: 2}\n  - {id: p, op: both, from: [q, x]}\n  - {id: y, op: mul, from: [p.sum, p.diff]}",
        BLOCKS,
    )
    assert np.array_equal(run(text), (2 * X + X) * (2 * X - X))


def test_a_block_reads_the_sizes_of_its_input() -> None:
    assert run(spec("  - {id: y, op: wide}", BLOCKS)).shape == (1, 4, 2, 4)


def test_a_block_sees_nothing_of_its_caller() -> None:
    text = spec(
        "  - {id: q, scale: 2}\n  - {id: y, repeat: 2, do: [leak]}",
        "blocks: {leak: {do: [{scale: =i}, {op: add, from: [x, q]}]}}\n",
    )
    assert [(e.code, pointed(e).split("}")[0]) for e in refused(text)] == [
        ("spec/unknown-name", "=i"),
        ("spec/unknown-name", "q]"),
    ]


@pytest.mark.parametrize(
    ("item", "code", "words"),
    [
        ("{id: y, op: times}", "spec/missing-argument", "times: 'by' is required"),
        ("{id: y, times: {by: 2, bye: 3}}", "spec/unknown-argument", "did you mean 'by'?"),
        ("{id: y, op: both}", "spec/wrong-arity", "block 'both' takes a, b, given 1"),
        ("{id: y, wide: 3}", "spec/unknown-argument", "block 'wide' has no params"),
        ("{id: y, op: both, from: [x, 3]}", "spec/bad-type", "'both' needs a value here, not 3"),
    ],
)
def test_wrong_calls_of_blocks(item: str, code: str, words: str) -> None:
    error = only(spec(f"  - {item}", BLOCKS))
    assert error.code == code
    assert words in (error.message, error.hint)


# ---------------------------------------------------------------- raw operators


def test_an_operator_leaves_optional_inputs_out_and_takes_constants() -> None:
    text = spec("  - {id: y, Resize: {mode: nearest}, from: [x, null, [1, 1, 2, 2]]}")
    assert np.array_equal(run(text), X.repeat(2, axis=2).repeat(2, axis=3))
    text = spec("  - {id: y, Resize: {mode: nearest}, from: [x, '', '', [1, 2, 4, 8]]}")
    assert np.array_equal(run(text), X.repeat(2, axis=2).repeat(2, axis=3))


def test_an_operators_outputs_have_numbers_and_onnx_names() -> None:
    text = spec(
        "  - {id: top, TopK: {axis: 3, outputs: 2}, from: [x, [1]]}\n  - {id: y, op: sub, from: [top.Values, top.0]}"
    )
    assert np.array_equal(run(text), np.zeros((1, 2, 2, 1)))


def test_a_constant_takes_the_type_of_the_input_it_goes_with() -> None:
    text = spec("  - {id: y, Add: , from: [n, 1]}", inputs='{n: "i32[2]"}')
    assert run(text, np.array([1, 2], np.int32)).tolist() == [2, 3]


def test_attributes_are_converted_to_their_types() -> None:
    text = spec("  - {id: y, LeakyRelu: {alpha: 2}}")
    assert np.array_equal(run(text), np.where(X < 0, 2 * X, X))


@pytest.mark.parametrize(
    ("item", "code", "words", "place"),
    [
        ("{Resise: {}}", "spec/unknown-layer", "did you mean 'Resize'?", "Resise"),
        ("{Upsample: {}}", "graph/deprecated-op", "", "Upsample"),
        (
            "{Conv: {kernel: [3]}, from: [x, 1]}",
            "spec/unknown-argument",
            "did you mean 'kernel_shape'?",
            "kernel",
        ),
        ("{Softmax: {axis: 1.5}}", "spec/non-integral", "", "1.5"),
        ("{Softmax: {axis: a}}", "spec/bad-type", "", "a}"),
        ("{Transpose: {perm: 1}}", "spec/bad-type", "", "1}"),
        ("{Split: {axis: 1, outputs: 0}, from: x}", "spec/wrong-arity", "", "0}"),
        ("{Concat: {}, from: [x, x]}", "spec/missing-argument", "", "Concat"),
        ("{If: {then_branch: 1, else_branch: 1}, from: x}", "spec/bad-type", "", "1,"),
        ("{Add: 3, from: [x, x]}", "spec/bad-type", "attributes: none", "3,"),
        ("{op: Add}", "spec/wrong-arity", "name them in 'from'; here are x", "Add"),
        ("{Relu: {}, from: []}", "spec/wrong-arity", "", "[]"),
        ("{Add: {}, from: [x, [1, a]]}", "spec/bad-type", "", "Add"),
        ("{Gather: {}, from: [x, 0.5]}", "spec/bad-type", "it takes tensor(int32), tensor(int64)", "Gather"),
        ("{Add: {}, from: [x, [[1], [1, 2]]]}", "spec/bad-type", "", "Add"),
    ],
)
def test_wrong_operators(item: str, code: str, words: str, place: str) -> None:
    errors = refused(spec(f"  - {item}\n  - {{id: y, op: relu, from: x}}"))
    assert errors[0].code == code
    assert errors[0].hint == words or not words
    assert pointed(errors[0]).startswith(place)


# ---------------------------------------------------------------- names, sources, marks


def test_nodes_are_named_by_their_scope_path() -> None:
    text = spec(
        "  - {id: body, repeat: 2, do: [{residual: [{conv: 2}, relu]}]}\n"
        "  - {repeat: 2, do: [relu]}\n  - {repeat: 1, do: [relu]}\n  - {conv: 2}\n  - {id: y, conv: 2}"
    )
    network = expand_text(text)
    assert names(network) == [
        *(f"body.{i}/residual{part}" for i in range(2) for part in ("/conv", "/relu", "")),
        "repeat.0/relu",
        "repeat.1/relu",
        "repeat_2.0/relu",
        "conv",
        "y",
    ]
    assert list(network.parameters) == [
        f"{path}/{name}"
        for path in ("body.0/residual/conv", "body.1/residual/conv", "conv", "y")
        for name in ("weight", "bias")
    ]


@pytest.mark.parametrize(
    "items", [["{id: conv_2, conv: 2}", "conv: 2", "conv: 2"], ["conv: 2", "conv: 2", "{id: conv_2, conv: 2}"]]
)
def test_an_id_like_a_numbered_name_shares_nothing(items: list[str]) -> None:
    network = expand_text(spec("\n".join(f"  - {item}" for item in [*items, "{id: y, relu: }"])))
    assert len(set(names(network))) == len(network.nodes) == 4
    assert len(network.parameters) == 6


def test_a_merge_of_many_paths_is_no_other_item() -> None:
    items = "  - branch: {paths: [[], [], []], merge: add}\n  - {id: branch_2, relu: }\n  - {id: y, relu: }"
    assert names(expand_text(spec(items))) == ["branch", "branch/2", "branch_2", "y"]


def test_nodes_know_their_line(tmp_path: Path) -> None:
    folder = tmp_path / "specs"
    folder.mkdir()
    (tmp_path / "graphc.toml").touch()
    (folder / "a.yaml").write_text(spec("  - relu\n  - {id: y, conv: 2}"))
    network = expand(folder / "a.yaml")
    assert [node.doc_string for node in network.nodes] == ["specs/a.yaml:5", "specs/a.yaml:6"]


def test_value_names_are_unique_and_outputs_carry_their_ids() -> None:
    text = spec("  - {id: y, conv: {out: 2, act: relu}}\n  - {id: z, op: dropout}", outputs="[y, z]")
    graph = model_of(expand_text(text)).graph
    made = [name for node in graph.node for name in node.output]
    everything = [*made, *(one.name for one in (*graph.input, *graph.initializer))]
    assert len(set(everything)) == len(everything)
    assert [one.name for one in graph.output] == ["y", "z"]


def test_marks_go_to_the_nodes_of_their_item() -> None:
    text = spec(
        "  - {residual: [relu], stop_gradient: true}\n"
        "  - {id: y, op: relu, lint: {ignore: [graph/no-op-chain], reason: a test}}"
    )
    props = [dict(node.metadata_props) for node in expand_text(text).nodes]
    assert props[0] == props[1] == {"graphc.stop_gradient": "true"}
    assert json.loads(props[2]["graphc.lint"]) == {"ignore": ["graph/no-op-chain"], "reason": "a test"}


def test_stop_gradient_on_an_item_without_nodes_makes_one() -> None:
    (node,) = expand_text(spec("  - {id: y, do: [], stop_gradient: true}")).nodes
    assert (node.op_type, node.metadata_props["graphc.stop_gradient"]) == ("Identity", "true")


def test_shared_and_frozen_weights() -> None:
    text = spec("  - {conv: 2, shared: w}\n  - {conv: 2, shared: w, frozen: true}\n  - {id: y, conv: 2, frozen: true}")
    parameters = expand_text(text).parameters
    assert list(parameters) == ["w/weight", "w/bias", "y/weight", "y/bias"]
    assert [parameter.trainable for parameter in parameters.values()] == [True, True, False, False]


def test_a_shared_loop_uses_one_set_of_weights() -> None:
    text = spec("  - {id: y, repeat: 3, shared: cell, do: [{conv: 2}]}")
    assert list(expand_text(text).parameters) == ["cell/conv/weight", "cell/conv/bias"]


# ---------------------------------------------------------------- dimensions

DIMS = "dims: {N: 1, H: {min: 4, opt: 8, max: 16, multiple_of: %s}, W: {min: 4, opt: 8, max: 16, multiple_of: %s}}\n"
IMAGE = '{x: "f32[N, 2, H, W]"}'


def shape_of(network: Network) -> str:
    return str(network.outputs[0].shape)


def test_a_range_becomes_a_symbol_that_follows_through_the_network() -> None:
    text = spec("  - {upsample: 2}\n  - {id: y, conv: 5}", DIMS % (1, 1), inputs=IMAGE)
    network = expand_text(text)
    assert shape_of(network) == "[1,5,2*H,2*W]"
    metadata = json.loads(network.model().metadata_props["graphc.dims"])
    assert metadata["H"] == {"min": 4, "opt": 8, "max": 16, "multiple_of": 1}
    assert set(metadata) == {"H", "W"}


def test_a_size_that_does_not_divide_is_found_unless_the_dimension_promises_it() -> None:
    nodes = "  - residual: {do: [{max_pool: 2}, {upsample: 2}]}\n  - {id: y, op: relu}"
    assert shape_of(expand_text(spec(nodes, DIMS % (2, 2), inputs=IMAGE))) == "[1,2,H,W]"
    error = only(spec(nodes, DIMS % (2, 1), inputs=IMAGE))
    assert error.code == "spec/shape-mismatch"


def test_types_may_compute_with_a_range_and_nothing_else_may() -> None:
    good = spec(
        "  - {upsample: 3}\n  - {id: y, op: add, from: [prev, z]}",
        DIMS % (1, 1),
        inputs='{x: "f32[N, 2, H, W]", z: "f32[N, 2, 3*H, W*3]"}',
    )
    error = only(good)  # two inputs: the first item must say which
    assert error.code == "spec/wrong-arity"
    assert shape_of(expand_text(good.replace("{upsample: 3}", "{upsample: 3, from: x}"))).endswith("3*H,3*W]")
    error = only(spec("  - {id: y, conv: =H}", DIMS % (1, 1), inputs=IMAGE))
    assert (error.code, pointed(error)) == ("spec/dim-not-fixed", "=H}")


def test_a_fixed_dimension_is_a_number() -> None:
    assert (
        run(spec("  - {id: y, conv: {out: =W, k: 1}}", "dims: {W: =2 * 2}\n", inputs='{x: "f32[1, 2, 2, W]"}')).shape[1]
        == 4
    )


def test_declared_outputs_are_checked() -> None:
    text = spec("  - {id: y, upsample: 2}", DIMS % (1, 1), inputs=IMAGE, outputs='{y: "f32[N, 2, H*2, W]"}')
    error = only(text)
    assert error.message == "output 'y' is declared f32[N, 2, H*2, W], but is f32[1, 2, 2*H, 2*W]"
    assert shape_of(expand_text(text.replace("H*2, W]", "H*2, 2*W]"))).endswith("2*W]")


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("f32[1, C]", "spec/undeclared-dim"),
        ("f33[1]", "spec/bad-type"),
        ("f32", "spec/bad-type"),
        ("f32[1, 2/4]", "spec/non-integral"),
        ("f32[1, 1 - 1]", "spec/bad-value"),
        ("f32[1, 1 +]", "spec/bad-expression"),
    ],
)
def test_wrong_types(written: str, code: str) -> None:
    error = only(spec("  - {id: y, op: relu}", inputs=f'{{x: "{written}"}}'))
    assert (error.code, pointed(error).startswith('"' + written)) == (code, True)


# ---------------------------------------------------------------- targets

TARGETS = "targets: {half: {precision: fp16, opset: 20}, fixed: {shapes: {H: 8, W: 12}}, wrong: {shapes: {Q: 1}}}\n"


def test_a_half_precision_target_keeps_the_interface() -> None:
    text = spec("  - {conv: 4}\n  - {id: y, op: relu}", TARGETS)
    network = expand_text(text, target="half")
    assert [node.op_type for node in network.nodes] == ["Cast", "Conv", "Relu", "Cast"]
    assert names(network) == ["x/cast", "conv", "y", "y/cast"]
    proto = model_of(network)
    assert {tensor.data_type for tensor in proto.graph.initializer} == {onnx.TensorProto.FLOAT16}
    assert proto.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert proto.opset_import[0].version == 20


def test_a_constant_beyond_half_precision_is_refused() -> None:
    text = spec("  - {id: y, scale: 1e6}", TARGETS)
    assert np.array_equal(run(text), X * 1e6)
    error = only(text, target="half")
    assert (error.code, error.message) == ("numerics/fp16-overflow", "1000000.0 is beyond float16")


def test_a_target_narrows_dims() -> None:
    text = spec("  - {id: y, op: relu}", DIMS % (1, 1) + TARGETS, inputs=IMAGE)
    assert shape_of(expand_text(text, target="fixed")) == "[1,2,8,12]"
    assert only(text, target="wrong").code == "spec/undeclared-dim"
    assert only(text, target="harf").hint == "did you mean 'half'?"


# ---------------------------------------------------------------- imports

FEATURES = """\
graphc: 1
params: {width: 4}
dims: {N: 1, H: 32, W: 32}
inputs: {image: "f32[N, 2, H, W]"}
outputs: [last]
blocks: {c: {params: {out: null}, do: [{conv: =out}, relu]}}
nodes:
  - {id: first, c: =width}
  - {id: second, c: =2 * width}
  - {id: last, c: 3}
weights: {init: {constant: 0.5}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "features.yaml").write_text(FEATURES)
    return tmp_path


def test_uses_of_an_import_share_its_weights(project: Path) -> None:
    text = spec(
        "  - {id: a, op: f}\n  - {id: q, op: relu, from: x}\n  - {id: b, op: f}\n"
        "  - {id: y, op: add, from: [a.first, b.first]}",
        "imports: {f: {spec: features.yaml, until: second, frozen: true, params: {width: 6}}}\n",
    )
    network = expand_text(text, root=project)
    assert list(network.parameters) == [
        f"f/{layer}/conv/{name}" for layer in ("first", "second") for name in ("weight", "bias")
    ]
    assert not any(parameter.trainable for parameter in network.parameters.values())
    assert names(network)[:2] == ["a/first/conv", "a/first/relu"]
    assert names(network)[5] == "b/first/conv"
    assert shape_of(network) == "[1,6,2,4]"  # and not 32 x 32


def test_an_import_has_its_own_weights_section(project: Path) -> None:
    network = expand_text(
        spec("  - f\n  - {id: y, conv: 1}", "imports: {f: features.yaml}\nweights: {init: zeros}\n"),
        root=project,
    )
    network.fill()
    filters = {path: p.value.const_value for path, p in network.parameters.items() if path.endswith("weight")}
    values = {path: set(tensor.numpy().ravel().tolist()) for path, tensor in filters.items() if tensor is not None}
    assert values == {f"f/{n}/conv/weight": {0.5} for n in ("first", "second", "last")} | {"y/weight": {0.0}}


@pytest.mark.parametrize(
    ("declared", "item", "code", "hint"),
    [
        ("features.yaml", "{id: y, op: relu, from: t.frist}", "spec/unknown-name", "did you mean 'first'?"),
        (
            "{spec: features.yaml, until: secnod}",
            "{id: y, op: f, from: x}",
            "spec/unknown-name",
            "did you mean 'second'?",
        ),
        (
            "{spec: features.yaml, params: {widht: 3}}",
            "{id: y, op: f}",
            "spec/unknown-override",
            "did you mean 'width'?",
        ),
        ("features.yaml@big", "{id: y, op: f}", "spec/unknown-variant", "this spec has no variants"),
        ("features.yaml", "{id: y, f: 3}", "spec/unknown-argument", "give it 'params' where it is imported"),
        ("features.yaml", "{id: y, op: f, from: [x, x]}", "spec/wrong-arity", ""),
    ],
)
def test_wrong_imports(project: Path, declared: str, item: str, code: str, hint: str) -> None:
    text = spec(f"  - {{id: t, op: f}}\n  - {item}", f"imports: {{f: {declared}}}\n")
    (error, *_) = refused(text, root=project)
    assert (error.code, error.hint) == (code, hint)


def test_an_id_cannot_be_the_name_of_an_import(project: Path) -> None:
    error = only(spec("  - {id: f, op: relu}\n  - {id: y, op: relu}", "imports: {f: features.yaml}\n"), root=project)
    assert (error.code, pointed(error)[0]) == ("spec/duplicate-id", "f")


def test_an_input_must_fit_the_import(project: Path) -> None:
    text = spec("  - {id: y, op: f}", "imports: {f: features.yaml}\n", inputs='{x: "f32[1, 3, 8, 8]"}')
    error = only(text, root=project)
    assert error.message == "import 'f': input 'image' is f32[N, 2, H, W], given f32[1, 3, 8, 8]"
    assert error.code == "spec/shape-mismatch"
    assert "comes from input 'x'" in error.notes[0].message


def test_an_error_inside_an_import_names_its_file_and_the_way_there(project: Path) -> None:
    (project / "features.yaml").write_text(FEATURES.replace("{conv: =out}, relu", "{conv: =out}, rely"))
    error = only(spec("  - {id: y, op: f}", "imports: {f: features.yaml}\n"), root=project)
    assert error.where is not None
    assert error.where.file.endswith("features.yaml")
    assert [note.message for note in error.notes] == ["in block 'c'", "in import 'f'"]
    assert error.message.endswith("(and 2 more expansions)")


def test_an_imported_file_can_be_pinned(project: Path) -> None:
    text = spec("  - {id: y, op: f}", f"imports: {{f: {{spec: features.yaml, sha256: '{'0' * 64}'}}}}\n")
    error = only(text, root=project)
    assert (error.code, pointed(error).startswith("'000")) == ("security/hash-mismatch", True)


# ---------------------------------------------------------------- training

TRAIN = """\
train:
  inputs: {t: "f32[1, 2, 2, 4]"}
  nodes: [{id: d, op: sub, from: [y, t]}, {id: far, conv: 3, from: d}]
  losses:
    - {op: mse, from: [y, t], weight: =w}
    - {id: tied, op: l1, from: [y, x], when: =w > 3}
    - {id: plain, op: l1, from: [y, t]}
  optimizer: {sgd: {lr: 0.5}}
"""


def test_training_is_expanded_beside_the_model() -> None:
    network = expand_text(spec("  - {id: y, conv: 2}", "params: {w: 0.25}\n" + TRAIN))
    training = network.training
    assert training is not None
    assert [(loss.name, loss.weight) for loss in training.losses] == [("mse", 0.25), ("plain", 1.0)]
    assert all(node.name and node.name.startswith("train/") for node in training.nodes)
    assert list(network.parameters) == ["y/weight", "y/bias"]
    assert list(network.trainable) == ["y/weight", "y/bias", "train/far/weight", "train/far/bias"]
    proto = model_of(network)
    assert [node.name for node in proto.graph.node] == ["y"]
    assert [one.name for one in proto.graph.input] == ["x"]


def test_a_model_is_a_copy() -> None:
    network = expand_text(spec("  - {id: y, conv: 2}"))
    network.fill()
    first = network.model()
    first.graph[0].name = "other"
    first.graph.outputs[0].name = "z"
    assert [node.name for node in network.model().graph] == ["y"]
    assert network.model().graph.outputs[0].name == "y"


@pytest.mark.parametrize(
    ("losses", "code"),
    [
        ("[{op: sub, from: [y, x]}]", "spec/shape-mismatch"),
        ("[{op: mse, from: [y, x], weight: heavy}]", "spec/bad-type"),
        ("[{op: mse}]", "spec/wrong-arity"),
        ("[{op: mse, from: [y, why]}]", "spec/unknown-name"),
    ],
)
def test_wrong_losses(losses: str, code: str) -> None:
    assert only(spec("  - {id: y, op: relu}", f"train: {{losses: {losses}}}\n")).code == code


def test_a_weight_belongs_to_a_loss() -> None:
    error = only(spec("  - {id: y, op: relu, weight: 2}"))
    assert (error.code, pointed(error)) == ("spec/unknown-key", "2}")


# ---------------------------------------------------------------- errors


def test_the_format_of_an_error() -> None:
    text = """\
graphc: 1
inputs: {x: "f32[1, 3, 8, 8]"}
outputs: [y]
blocks:
  layer:
    params: {d: null}
    do:
      - conv: 3
      - leeky_relu: 0.2
nodes:
  - repeat: {s: =range(2)}
    do:
      - layer: =2**s
  - {id: y, op: relu}
"""
    assert (
        str(only(text, file="can.yaml"))
        == """\
can.yaml:9:9: spec/unknown-layer: unknown layer 'leeky_relu' (and 1 more expansion)
  help: did you mean 'leaky_relu'?
    9 |       - leeky_relu: 0.2
      |         ^
  note: in block 'layer' at can.yaml:13:9
  note: in repeat s=0 at can.yaml:11:5"""
    )


def test_a_residual_that_does_not_fit_names_both_origins() -> None:
    text = spec(
        "  - {id: a, conv: 4}\n  - repeat: 2\n    do:\n      - residual: [relu, {conv: 3}]\n  - {id: y, op: relu}"
    )
    assert (
        str(only(text))
        == """\
spec.yaml:8:9: spec/shape-mismatch: residual: body gives (1, 3, 2, 4), shortcut (1, 4, 2, 4)
  help: add 'shortcut: [conv: ...]'
    8 |       - residual: [relu, {conv: 3}]
      |         ^
  note: (1, 3, 2, 4) comes from 'repeat.0/residual/conv' at spec.yaml:8:27
  note: (1, 4, 2, 4) comes from 'a' at spec.yaml:5:13
  note: in repeat i=0 at spec.yaml:6:5"""
    )


def test_a_layer_that_cannot_take_its_inputs_says_where_they_come_from() -> None:
    text = spec("  - {id: a, conv: 4}\n  - {id: b, conv: 3}\n  - {id: y, op: add, from: [a, b]}")
    error = only(text)
    assert error.code == "spec/shape-mismatch"
    assert [note.message for note in error.notes] == [
        "(1, 4, 2, 4) comes from 'a'",
        "(1, 3, 2, 4) comes from 'b'",
    ]
    assert [note.where and note.where.line for note in error.notes] == [5, 6]


@pytest.mark.parametrize(
    ("item", "place", "message"),
    [
        ("{id: y, conv: {out: 2, act: rellu}}", "rellu}", "unknown layer 'rellu'"),
        ("{id: y, dw: {norm: bm}}", "bm}", "unknown layer 'bm'"),
        ("{id: y, residual: {do: [relu], act: rellu}}", "rellu}", "unknown layer 'rellu'"),
        ("{id: y, conv: {out: 2, act: {elu: {beta: 1}}}}", "{elu", "elu: unknown argument 'beta'"),
    ],
)
def test_a_misspelt_layer_inside_a_layer_is_pointed_at(item: str, place: str, message: str) -> None:
    error = only(spec(f"  - {item}"))
    assert pointed(error).startswith(place)
    assert (error.message, error.notes) == (message, ())


def test_independent_errors_are_reported_together_and_their_consequences_are_not() -> None:
    text = spec(
        "  - {id: a, cnov: 4}\n"  # wrong
        "  - {id: b, conv: 3}\n"  # depends on it
        "  - {id: c, op: add, from: [a, b]}\n"  # depends on it
        "  - {id: d, conv: {out: 3, kk: 2}, from: x}\n"  # wrong
        "  - {id: e, op: relu, from: [d, nope]}\n"  # wrong, whatever d is
        "  - {id: f, conv: {out: 2.5}}\n"  # wrong, whatever e is
        "  - {id: g, scale: 3, from: x}\n"
        "  - {id: y, op: add, from: [g, c]}",
    )
    assert [(e.code, pointed(e).split(":")[0].split("}")[0]) for e in refused(text)] == [
        ("spec/unknown-layer", "cnov"),
        ("spec/unknown-argument", "kk"),
        ("spec/unknown-name", "nope]"),
        ("spec/non-integral", "2.5"),
    ]


def test_no_more_errors_than_asked_for() -> None:
    text = spec("".join(f"  - {{id: a{i}, op: rely}}\n" for i in range(40)) + "  - {id: y, op: relu}")
    errors = refused(text, max_errors=5)
    assert len(errors) == 5 + 1
    assert "more errors" in errors[-1].message


@pytest.mark.parametrize(
    ("item", "code", "place"),
    [
        ("{conv: 64, form: x}", "spec/unknown-key", "form"),
        ("{conv: 64, relu: }", "spec/unknown-key", "relu"),
        ("{id: 3a, op: relu}", "spec/bad-value", "3a"),
        ("{id: prev, op: relu}", "spec/bad-value", "prev"),
        ("5", "spec/bad-type", "5"),
        ("[relu]", "spec/bad-type", "[relu]"),
        ("=1 + 1", "spec/bad-type", "=1"),
        ("{from: x}", "spec/missing-argument", "{from"),
        ("{repeat: 3}", "spec/missing-argument", "{repeat"),
        ("{repeat: =1 / 2, do: []}", "spec/non-integral", "=1"),
        ("{repeat: many, do: []}", "spec/bad-type", "many"),
        ("{repeat: -1, do: []}", "spec/bad-type", "-1"),
        ("{repeat: {a: 1, b: 2}, do: []}", "spec/bad-type", "{a"),
        ("{repeat: 2, conv: 3, do: []}", "spec/unknown-key", "repeat"),
        ("{op: conv, relu: }", "spec/unknown-key", "op"),
        ("{op: conv}", "spec/missing-argument", "conv"),
        ("{op: add}", "spec/wrong-arity", "add"),
        ("{op: relu, from: [x, x]}", "spec/wrong-arity", "[x, x]"),
        ("{op: relu, from: {a: 1}}", "spec/bad-type", "{a"),
        ("{op: relu, from: 3}", "spec/bad-type", "3"),
        ("{op: relu, from: x.0}", "spec/unknown-name", "x.0"),
        ("{op: relu, from: half}", "spec/wrong-arity", "relu"),
        ("{when: yes, op: relu}", "spec/bad-type", "yes"),
        ("{when: =nope, op: relu}", "spec/unknown-name", "=nope"),
        ("{relu: 3}", "spec/bad-type", "relu"),
        ("{op: relu, stop_gradient: 1}", "spec/bad-type", "1"),
        ("{op: relu, lint: {reason: x}}", "spec/missing-argument", "{reason"),
        ("{residual: {do: [], scael: 2}}", "spec/unknown-argument", "scael"),
        ("{residual: relu}", "spec/bad-type", "relu"),
        ("{branch: {paths: [relu]}}", "spec/bad-type", "relu"),
        ("{branch: {paths: []}}", "spec/bad-value", "[]"),
        ("{branch: {paths: [[], [{conv: 3}]], merge: add}}", "spec/shape-mismatch", "branch"),
        ("{leaky_relu: {alpha: {a: 1}}}", "spec/bad-type", "{a"),
        ("{conv: {out: 4, act: {leaky_relu: {alfa: 1}}}}", "spec/unknown-argument", "{leaky_relu"),
        ("{conv: {out: 4, act: mse}}", "spec/wrong-arity", "conv"),
        ("{conv: {out: 4, act: {split: 2}}}", "spec/wrong-arity", "conv"),
        ("{conv: {out: 4, d: 9000000000000000000}}", "spec/shape-mismatch", "conv"),
        ("{scale: =dim(3)}", "spec/bad-expression", "=dim"),
        ("{scale: =x + 1}", "spec/bad-expression", "=x"),
        ("{id: half, op: relu}", "spec/duplicate-id", "half"),
    ],
)
def test_wrong_items(item: str, code: str, place: str) -> None:
    text = spec(
        "  - {id: half, split: 2, from: x}\n  - {id: q, op: relu, from: x}\n"
        f"  - {item}\n  - {{id: y, op: relu, from: x}}"
    )
    error = only(text)
    assert (error.code, error.where and error.where.line) == (code, 7)
    assert pointed(error).startswith(place)
    assert "pydantic" not in str(error)


def test_outputs_must_exist_once() -> None:
    text = spec("  - {id: y, op: relu}", outputs="[y, z, x, y]")
    assert [(e.code, pointed(e)[0]) for e in refused(text)] == [
        ("spec/unknown-name", "z"),
        ("spec/duplicate-id", "x"),
        ("spec/duplicate-id", "y"),
    ]


# ---------------------------------------------------------------- hostile specs


def chain(levels: int, body: str, link: str) -> str:
    """Blocks b0, b1, ... each of which calls the one before."""
    calls = "".join(f"  b{i}: {{do: {link.replace('B', f'b{i - 1}')}}}\n" for i in range(1, levels + 1))
    return f"blocks:\n  b0: {{do: {body}}}\n{calls}"


@pytest.mark.parametrize(
    ("sections", "nodes", "code"),
    [
        (chain(30, "[relu]", "[B, B]"), "  - {id: y, op: b30}", "spec/limit-exceeded"),
        (chain(30, "[]", "[{op: B}, {B: }]"), "  - {id: y, op: b30}", "spec/limit-exceeded"),
        (chain(30, "[rely]", "[{residual: [B]}, B]"), "  - {id: y, op: b30}", "spec/limit-exceeded"),
        (chain(25, "[]", "[{repeat: =1 + 1, do: [B]}]"), "  - {id: y, op: b25}", "spec/limit-exceeded"),
        (chain(60, "[relu]", "[B]"), "  - {id: y, op: b60}", "spec/limit-exceeded"),
        (chain(5000, "[relu]", "[B]"), "  - {id: y, op: b5000}", "spec/limit-exceeded"),
        ("", "  - {id: y, repeat: 1000000000000, do: []}", "spec/limit-exceeded"),
        (
            "",
            "  - {id: y, repeat: =range(4096), do: [{repeat: =range(4096), do: []}]}",
            "spec/limit-exceeded",
        ),
        ("blocks: {a: {do: [b]}, b: {do: [a]}}\n", "  - {id: y, op: a}", "spec/block-cycle"),
        ("blocks: {a: {do: [a, a]}}\n", "  - {id: y, op: a}", "spec/block-cycle"),
    ],
)
def test_expansion_is_bounded(sections: str, nodes: str, code: str) -> None:
    assert refused(spec(nodes, sections))[0].code == code


@pytest.mark.parametrize(
    "nodes",
    [
        "{repeat: =n, do: [relu]}",
        "{repeat: {d: '=[n, n]'}, do: [{repeat: =n, do: [relu]}]}",
        "{residual: [{repeat: =n, do: [relu]}]}",
    ],
)
def test_a_bomb_with_a_computed_fuse_is_not_lit(nodes: str) -> None:
    error = only(spec(f"  - {nodes}\n  - {{id: y, relu: }}", "params: {n: 100000}\n"))
    assert error.code == "spec/limit-exceeded"
    assert pointed(error) == "nodes:"


def test_a_local_name_hides_a_large_parameter() -> None:
    sections = "params: {n: 100000}\nblocks: {b: {params: {n: 2}, do: [{repeat: =n, do: [relu]}]}}\n"
    nodes = "  - b\n  - {repeat: {n: [1, 2]}, do: [{repeat: =n, do: [relu]}]}\n  - {id: y, relu: }"
    assert len(expand_text(spec(nodes, sections)).nodes) == 2 + (1 + 2) + 1


def test_limits_are_the_callers() -> None:
    text = spec("  - {id: y, repeat: 20, do: [relu]}")
    assert len(expand_text(text, limits=Limits(graph_nodes=20)).nodes) == 20
    error = only(text, limits=Limits(graph_nodes=19))
    assert (error.code, error.notes[0].message) == ("spec/limit-exceeded", "in repeat i=19")


def test_a_recursive_block_says_how() -> None:
    error = only(spec("  - {id: y, op: a}", "blocks: {a: {do: [b]}, b: {do: [relu, a]}}\n"))
    assert error.message == "block 'a' calls itself"
    assert [note.message for note in error.notes] == ["in block 'b'", "in block 'a'"]


# ---------------------------------------------------------------- files


def test_build_reads_a_file_with_its_variant(tmp_path: Path) -> None:
    text = spec("  - {id: y, conv: =n}", "params: {n: 3}\nvariants: {x2: {n: 6}}\nname: small\ndoc: A test\n")
    (tmp_path / "small.yaml").write_text(text)
    model = build(f"{tmp_path}/small.yaml@x2", seed=3)
    assert (model.graph.name, model.doc_string, model.metadata_props["name"]) == ("small", "A test", "small")
    shapes = {name: tuple(v.const_value.shape) for name, v in model.graph.initializers.items() if v.const_value}
    assert shapes == {"y/weight": (6, 2, 3, 3), "y/bias": (6,)}


def test_a_file_whose_name_has_an_at_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a@b.yaml").write_text(spec("  - {id: y, op: relu}"))
    assert len(expand(f"{tmp_path}/a@b.yaml").nodes) == 1


def test_a_missing_file_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(GraphcError) as caught:
        expand(tmp_path / "nowhere.yaml")
    assert (caught.value.code, caught.value.exit_code) == ("run/file-not-found", 2)


RANGED = """\
graphc: 1
name: ranged
dims: {N: 1, H: {min: 8, opt: 16, max: 64, multiple_of: 4}}
inputs: {x: "f32[N, 3, H, 2*H]"}
outputs: [y]
nodes: [{id: y, relu}]
""".replace("{id: y, relu}", "{id: y, op: relu}")


def test_dims_can_be_given_one_size() -> None:
    assert expand_text(RANGED).outputs[0].shape == ir.Shape([1, 3, "H", "2*H"])
    fixed = expand_text(RANGED, dims={"H": 32})
    assert fixed.outputs[0].shape == ir.Shape([1, 3, 32, 64])


@pytest.mark.parametrize(
    ("dims", "message"),
    [
        ({"W": 8}, "dimension 'W' is not declared"),
        ({"H": 4}, "H = 4 is not in the range"),
        ({"H": 128}, "H = 128 is not in the range"),
        ({"H": 18}, "H = 18 is not in the range"),
    ],
)
def test_sizes_that_a_dim_does_not_allow(dims: dict[str, int], message: str) -> None:
    with pytest.raises(GraphcError, match=message):
        expand_text(RANGED, dims=dims)


def with_dims(dims: str, *items: str) -> Network:
    listed = "".join(f"  - {item}\n" for item in items)
    return expand_text(
        f"graphc: 1\nname: ranged\ndims: {{N: 1, {dims}}}\n"
        f'inputs: {{x: "f32[N, 4, H, 8]"}}\noutputs: [y]\nnodes:\n{listed}'
    )


def test_a_size_that_changes_far_from_the_best_one_is_not_static() -> None:
    network = with_dims("H: {min: 8, opt: 16}", "{id: y, conv: {out: 4, k: 1, stride: [64, 1], pad: 0}}")
    assert network.outputs[0].shape[2] != 1
    with pytest.raises(GraphcError) as error:
        with_dims(
            "H: {min: 8, opt: 16}",
            "conv: {out: 4, k: 1, stride: [64, 1], pad: 0}",
            "{id: y, scale: '=1 / dim(x, 2)'}",
        )
    assert error.value.code == "spec/dim-not-fixed"


def test_residues_of_small_strides_are_all_tried() -> None:
    with pytest.raises(GraphcError, match=r"do not broadcast: at H = \d+ they are"):
        with_dims(
            "H: {min: 30, opt: 60, max: 90}",
            "{id: a, conv: {out: 4, k: [3, 1], stride: [3, 1], pad: 0}, from: x}",
            "{id: b, conv: {out: 4, k: [2, 1], stride: [3, 1], pad: 0}, from: x}",
            "{id: y, op: add, from: [a, b]}",
        )


def test_an_unbounded_sequence_has_no_default_table_of_positions() -> None:
    def network(dims: str, layer: str) -> Network:
        return expand_text(
            f'graphc: 1\nname: p\ndims: {{N: 1, {dims}}}\ninputs: {{x: "f32[N, T, 8]"}}\noutputs: [y]\n'
            f"nodes: [{{id: y, {layer}}}]\n"
        )

    with pytest.raises(GraphcError, match="the longest sequence is not known"):
        network("T: {min: 1}", "op: positional_encoding")
    assert network("T: {min: 1, max: 64}", "op: positional_encoding").outputs[0].shape[1] == "T"


def test_a_shared_name_is_not_another_layers_id() -> None:
    with pytest.raises(GraphcError, match="two layers name their weights 'head/weight'") as error:
        with_dims("H: 8", "{conv: 4, shared: head}", "{id: head, conv: 4}", "{id: y, op: relu}")
    assert error.value.code == "spec/duplicate-id"


# ---------------------------------------------------------------- what a message says


UNEVEN = "dims: {N: {min: 1, max: 4}, H: {min: 16, max: 640}, W: 64}\n"
PICTURE = '{x: "f32[N, 3, H, W]"}'


@pytest.mark.parametrize(
    ("nodes", "shown"),
    [
        ("  - {max_pool: 2}\n  - {resize: 2}\n  - {id: y, concat: 1, from: [prev, x]}", "other sizes differ: at N = "),
        ("  - {id: y, residual: [{max_pool: 2}, {resize: 2}]}", "shortcut (N, 3, H, 64): at N = "),
        ("  - {id: y, branch: {paths: [[{max_pool: 2}, {resize: 2}], []]}}", "path 1 (N, 3, H, 64): at N = "),
        ("  - {id: y, branch: {paths: [[{max_pool: 2}], [{conv: {out: 3, s: 2}}]]}}", "path 1 (N, 3, 8..320, 32)"),
    ],
)
def test_sizes_that_differ_by_rounding_are_named_with_the_dimension(nodes: str, shown: str) -> None:
    error = only(spec(nodes, UNEVEN, inputs=PICTURE))
    assert error.code == "spec/shape-mismatch"
    assert shown in error.message
    height = int(error.message.partition("H = ")[2].partition(" ")[0].rstrip(","))
    assert height % 2 == 1
    assert error.hint == "H need not be divisible: give it multiple_of, or crop"


@pytest.mark.parametrize("body", ["{conv: 8}", "{conv: {out: 3, pad: valid}}", "{resize: 2}"])
def test_sizes_that_differ_otherwise_are_not_blamed_on_rounding(body: str) -> None:
    error = only(spec(f"  - {{id: y, residual: [{body}]}}", UNEVEN, inputs=PICTURE))
    assert error.hint == "add 'shortcut: [conv: ...]'"


def test_a_parameter_given_under_both_its_names_is_said_to_be_one() -> None:
    error = only(spec("  - {id: y, max_pool: {k: 2, kernel: 3}}"))
    assert (error.code, error.message) == (
        "spec/duplicate-key",
        "max_pool: 'k' and 'kernel' are one parameter, given twice",
    )
    assert pointed(error).startswith("kernel")


@pytest.mark.parametrize(
    ("value", "code"),
    [("three", "spec/bad-type"), ("true", "spec/bad-type"), ("null", "spec/bad-type"), ("1.5", "spec/non-integral")],
)
def test_a_size_per_axis_is_an_integer_or_a_list(value: str, code: str) -> None:
    error = only(spec(f"  - {{id: y, max_pool: {{k: {value}}}}}"))
    assert error.code == code
    assert error.message.startswith("max_pool: 'k' must be an integer or a list of integers, not ")


def test_a_repeat_without_a_body_is_shown_one() -> None:
    error = only(spec("  - {id: y, repeat: 2}"))
    assert (error.code, error.hint) == ("spec/missing-argument", "for example {repeat: 2, do: [relu]}")


def test_an_id_that_comes_later_is_said_to_come_later() -> None:
    nodes = "  - {add: , from: [x, u1]}\n  - {do: [{id: y, relu: , from: u1}]}\n  - {id: u1, relu: , from: x}"
    for error in refused(spec(nodes, outputs="[u1]")):
        assert error.message == "'u1' is defined later, at line 7; an item reads earlier ones"
        assert pointed(error).startswith("u1")


def test_an_id_that_is_left_out_or_reads_itself_does_not_come_later() -> None:
    for nodes in (
        "  - {id: u, when: false, relu: }\n  - {id: y, relu: , from: u}",
        "  - {id: y, do: [{id: u, relu: , from: u}]}",
    ):
        assert only(spec(nodes)).message == "unknown value 'u'"


@pytest.mark.parametrize("bad", ["d.2", "2d", "d 2"])
def test_an_id_that_is_refused_is_not_unknown_later(bad: str) -> None:
    error = only(spec(f"  - {{id: {bad}, relu: }}\n  - {{id: y, relu: , from: {bad}}}", outputs=f"[y, {bad}]"))
    assert error.message.startswith("'id' must be")
    assert pointed(error).startswith(bad)


def test_an_id_that_two_items_take_stands_for_neither() -> None:
    nodes = "  - {id: d, conv: 4}\n  - {id: d, conv: 8, from: x}\n  - {id: y, add: , from: [d, x]}"
    assert only(spec(nodes)).code == "spec/duplicate-id"


def test_a_network_knows_where_its_spec_says_something() -> None:
    network = expand_text(spec("  - {id: y, relu: }", "passes: [drop-identity, {nope: {x: 1}}]\n"))
    places = [network.place("passes", *path) for path in ((), (0,), (1,), (1, "nope", "x"))]
    assert [where.line for where in places] == [4] * 4
    assert [where.text[where.column - 1 :][:4] for where in places] == ["[dro", "drop", "{nop", "1}}]"]
