"""What a layer says when its arguments or inputs do not fit: a code, what was expected, what was given."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layer_oracle import build, sample

from graphc.errors import GraphcError
from graphc.spec.doors import expand_text
from graphc.spec.emit import Emitter
from graphc.spec.layers import Layer, layers

X = sample(2, 4, 5, 6)
VECTORS, SEQUENCE = sample(2, 6), sample(2, 3, 4)
SHAPE, BAD, EMPTY, GROUPS = (
    "spec/shape-mismatch",
    "spec/bad-value",
    "spec/empty-output",
    "spec/groups-do-not-divide",
)

REFUSED: list[tuple[Any, tuple[np.ndarray, ...], str, str]] = [
    ({"conv": 8}, (VECTORS,), SHAPE, "spatial.*was given .2, 6."),
    ({"conv": {"out": 8, "k": [3, 3, 3]}}, (X,), BAD, "'kernel' has 3 entries.*2 spatial axes"),
    ({"conv": {"out": 8, "stride": 0}}, (X,), BAD, "'stride' must be at least 1"),
    ({"conv": {"out": 8, "k": 4}}, (X,), BAD, "odd extent.*give 'pad' explicitly"),
    ({"conv": {"out": 8, "k": 7, "pad": 0}}, (X,), EMPTY, r"window of \(7, 7\).*\(5, 6\)"),
    ({"conv": {"out": 8, "pad": [1, 2, 3]}}, (X,), BAD, "'pad' has 3 entries"),
    ({"conv": {"out": 8, "pad": -1}}, (X,), BAD, "must not be negative"),
    ({"conv": {"out": 8, "k": 11, "pad_mode": "reflect"}}, (X,), BAD, "reflection"),
    ({"conv": {"out": 8, "groups": 3}}, (X,), GROUPS, "3 does not divide the 4 input channels"),
    ({"conv": {"out": 6, "groups": 4}}, (X,), GROUPS, "4 does not divide the 6 output channels"),
    ({"conv": {"out": 6, "act": "leeky_relu"}}, (X,), "spec/unknown-layer", "leaky_relu"),
    ({"conv": {"out": 6, "act": {"leaky_relu": {"slope": 1}}}}, (X,), "spec/unknown-argument", "slope"),
    ({"dw": 6}, (X,), GROUPS, "multiple of 4, not 6"),
    ({"dw": {"out": 8, "multiplier": 3}}, (X,), BAD, "give one"),
    ({"conv_transpose": {"out": 3, "k": 1}}, (X,), BAD, "shorter than the stride"),
    ({"conv_transpose": {"out": 3, "output_padding": 2}}, (X,), BAD, "smaller than the stride"),
    ({"conv_transpose": {"out": 3, "k": 1, "s": 1, "pad": 3}}, (X,), EMPTY, "nothing is left"),
    ("batch_norm", (X[0, 0, 0],), SHAPE, "N, C, ..."),
    ("instance_norm", (VECTORS,), SHAPE, "N, C, spatial"),
    ({"group_norm": 3}, (X,), GROUPS, "3 does not divide the 4 channels"),
    ({"layer_norm": 4}, (X,), SHAPE, r"no axis 4 in \(2, 4, 5, 6\)"),
    ("lrn", (SEQUENCE,), SHAPE, "N, C, H, W"),
    ("sigmoid", (np.ones((2, 3), np.int64),), SHAPE, r"Sigmoid does not accept .*tensor\(int64\)"),
    ({"lrn": 4}, (X,), BAD, "odd"),
    ("prelu", (X[0, 0, 0],), SHAPE, "N, C"),
    ({"softmax": 4}, (X,), SHAPE, "no axis 4"),
    ({"max_pool": {"k": 2, "pad": 2}}, (X,), BAD, "nothing but padding"),
    ({"max_pool": {"k": 2, "d": 7, "pad": 1}}, (X,), EMPTY, "does not fit"),
    ({"max_pool": {"k": 1, "s": 3, "ceil_mode": True}}, (X,), BAD, "ceil_mode"),
    ({"adaptive_avg_pool": [1, 2, 3]}, (X,), BAD, "'size' has 3 entries"),
    ("resize", (X,), BAD, "exactly one"),
    ({"resize": {"scale": 2, "size": 9}}, (X,), BAD, "exactly one"),
    ({"resize": 0}, (X,), BAD, "positive"),
    ({"resize": [2, 2, 2]}, (X,), BAD, "'scale' has 3 entries"),
    ({"resize": {"scale": 2, "mode": "cubic"}}, (SEQUENCE,), BAD, "two spatial axes"),
    ({"resize": {"scale": 2, "antialias": True}}, (X,), BAD, "nearest has none"),
    ({"pixel_shuffle": 3}, (X,), SHAPE, "multiple of 9 channels, was given .2, 4, 5, 6."),
    ({"pixel_shuffle": 2}, (SEQUENCE,), SHAPE, "N, C, H, W"),
    ({"pixel_unshuffle": 2}, (X,), SHAPE, r"2 does not divide the image \(5, 6\)"),
    ({"channel_shuffle": 3}, (X,), GROUPS, "3 does not divide the 4 channels"),
    ({"channel_shuffle": 3}, (X[0, 0, 0],), SHAPE, "N, C"),
    ({"dense": 3}, (X[0, 0, 0],), SHAPE, "was given .6."),
    ({"embedding": {"vocab": 3, "dim": 2}}, (X,), SHAPE, "integer ids.*FLOAT"),
    ({"attention": 3}, (SEQUENCE,), GROUPS, "3 heads do not divide 4"),
    ({"attention": 1}, (X,), SHAPE, "N, T, D"),
    ({"attention": 1}, (SEQUENCE, SEQUENCE, SEQUENCE, VECTORS), SHAPE, "broadcast"),
    ("positional_encoding", (X,), SHAPE, "N, T, D"),
    ({"positional_encoding": {"length": 2}}, (SEQUENCE,), SHAPE, "2 positions are fewer than the 3"),
    ({"gru": 4}, (X,), SHAPE, "N, T, C"),
    ({"gru": 4}, (SEQUENCE, VECTORS), SHAPE, r"\[N, 4\], was given \(2, 6\)"),
    ("gru_cell", (SEQUENCE, VECTORS), SHAPE, "N, size"),
    ("add", (X, VECTORS, X[:, :2]), SHAPE, "broadcast"),
    ("sub", (X, X[..., :2]), SHAPE, r"\(2, 4, 5, 6\) and \(2, 4, 5, 2\) do not broadcast"),
    ({"scale": [1, 2, 3]}, (X,), SHAPE, "3 numbers for axis 1"),
    ({"scale": 0.5}, (np.ones((2, 3), np.int64),), "spec/bad-type", "0.5 is no number of type INT64"),
    ("matmul", (X, X), SHAPE, "6 columns meet 5 rows"),
    ("matmul", (X, X[0, 0, 0]), SHAPE, "two matrices"),
    ({"reduce_mean": 4}, (X,), SHAPE, "no axis 4"),
    ({"reshape": [-1, -1]}, (X,), BAD, "at most one -1"),
    ({"reshape": [7, 5]}, (X,), SHAPE, r"does not have the elements of \[7, 5\]"),
    ({"reshape": [7, -1]}, (X,), SHAPE, "Reshape"),
    ({"transpose": [0, 1]}, (X,), SHAPE, "order the axes 0..3"),
    ("concat", (X, X[..., :2]), SHAPE, "other sizes differ"),
    ("concat", (X, SEQUENCE), SHAPE, "other sizes differ"),
    ("split", (X,), BAD, "exactly one"),
    ({"split": 3}, (X,), SHAPE, "3 equal parts"),
    ({"split": {"sizes": [1, 2]}}, (X,), SHAPE, "add up to 4"),
    ({"slice": {"step": 0}}, (X,), BAD, "must not be 0"),
    ({"slice": {"start": 4}}, (X,), EMPTY, "nothing of axis 1"),
    ({"pad": {"amount": 5, "mode": "reflect"}}, (X,), BAD, "reflection"),
    ({"pad": 1}, (VECTORS,), SHAPE, "spatial"),
    ({"squeeze": 1}, (X,), SHAPE, "size 1"),
    ({"unsqueeze": [0, 0]}, (X,), BAD, "distinct"),
    ({"expand": [3, 1, 1, 1]}, (X,), SHAPE, "does not expand"),
    ({"gather": 4}, (X,), SHAPE, "no entry"),
    ("crop", (X[..., :3], X), SHAPE, "smaller"),
    ("crop", (X, SEQUENCE), SHAPE, "one rank"),
    ("mse", (X, X[:, :1]), SHAPE, "one shape"),
    ("cross_entropy", (X, X), SHAPE, "integer labels"),
    ("bce", (X, X[:1]), SHAPE, "one shape"),
    ("gram", (VECTORS,), SHAPE, "spatial"),
    ("tv", (X[..., :1],), SHAPE, "neighbours"),
]


@pytest.mark.parametrize(("layer", "inputs", "code", "words"), REFUSED, ids=str)
def test_refusal_says_what_was_expected(layer: Any, inputs: tuple[np.ndarray, ...], code: str, words: str) -> None:
    with pytest.raises(GraphcError, match=f"(?s){words}") as caught:
        build(layer, *inputs)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("layer", "opset"),
    [({"resize": {"scale": 2, "mode": "linear", "antialias": True}}, 17), ({"avg_pool": {"d": 2}}, 18)],
)
def test_what_an_older_opset_lacks_is_refused(layer: Any, opset: int) -> None:
    with pytest.raises(GraphcError, match=f"from opset {opset + 1}"):
        build(layer, X, opset=opset)


VALUES: list[Any] = [
    -3,
    -1,
    0,
    1,
    2,
    3,
    4,
    7,
    0.5,
    -1.0,
    True,
    None,
    "same",
    "linear",
    "mean",
    "learned",
    "relu",
]
VALUES += [[], [0], [-1], [2, 2], [1, 2, 3], [1, 1, 1, 1], [0.5, 2], {"constant": 1.0}]
INPUTS = [
    X,
    X[..., :5],
    X[0],
    X[0, 0],
    X[0, 0, 0],
    X[:, :, None],
    np.float32([[0.5]])[0],
    np.array([[1, 2], [0, 1]]),
]


@settings(max_examples=400, deadline=None)
@given(data=st.data(), cls=st.sampled_from(list(layers().values())), opset=st.sampled_from([13, 17, 21]))
def test_any_arguments_give_a_valid_model_or_an_error_for_the_user(
    data: st.DataObject, cls: type[Layer], opset: int
) -> None:
    required = {name: st.sampled_from(VALUES) for name, f in cls.model_fields.items() if f.is_required()}
    optional = {name: st.sampled_from(VALUES) for name, f in cls.model_fields.items() if not f.is_required()}
    arguments = data.draw(st.fixed_dictionaries(required, optional=optional))
    least, most = cls.arity()
    inputs = data.draw(st.lists(st.sampled_from(INPUTS), min_size=least, max_size=most or least + 1))
    with suppress(GraphcError):
        build({cls.layer_name(): arguments}, *inputs, opset=opset)


@pytest.mark.parametrize("cls", layers().values(), ids=lambda cls: cls.layer_name())
def test_parameters_have_a_schema(cls: type[Layer]) -> None:
    schema = cls.model_json_schema(by_alias=False)
    assert set(schema["properties"]) == set(cls.model_fields) if cls.model_fields else True
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("short", "long"), [("bn", "BatchNormalization"), ("in", "InstanceNormalization"), ("none", None)]
)
def test_norms_have_their_usual_short_names(short: str, long: str | None) -> None:
    g = Emitter()
    x = g.input("x", ir.DataType.FLOAT, [(1, 4, 8, 8)])
    g.layer({"conv": {"out": 4, "norm": short, "act": "none"}}, x)
    assert [node.op_type for node in g.nodes] == ["Conv", *([long] if long else [])]


class Gated(Layer):
    """A layer of a plugin, whose `emit` gives or raises something wrong."""

    how: str

    def emit(self, g: Emitter, x: ir.Value) -> Any:
        if self.how == "raises":
            raise TypeError("no such thing")
        if self.how == "refuses":
            g.fail("not here")
        return (x, 3) if self.how == "pair" else None


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [
        ("raises", "run/plugin-failed", f"layer 'gated' of {__name__}: TypeError: no such thing"),
        ("pair", "run/plugin-failed", f"layer 'gated' of {__name__}: TypeError: emit returned int instead of a value"),
        ("none", "run/plugin-failed", "emit returned NoneType instead of a value"),
        ("refuses", "spec/bad-value", "not here"),
    ],
)
@pytest.mark.parametrize("item", ["gated: {how: HOW}", "conv: {out: 2, act: {gated: {how: HOW}}}"])
def test_what_a_plugins_layer_does_wrong_is_told_with_its_name(
    item: str, how: str, code: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {**layers(), "gated": Gated}
    monkeypatch.setattr("graphc.spec.layers.layers", lambda: known)
    text = f'graphc: 1\ninputs: {{x: "f32[1, 2, 4, 4]"}}\noutputs: [y]\nnodes:\n  - {{id: y, {item}}}\n'
    with pytest.raises(GraphcError) as caught:
        expand_text(text.replace("HOW", how), "f.yaml")
    error = caught.value
    assert error.code == code
    assert message in error.message
    assert error.where is not None
    assert str(error.where) == "f.yaml:5:13"
