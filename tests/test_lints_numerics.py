"""What lints of numerics stand on: intervals hold what runs give, and weights are counted right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphc import Case, CaseBuilder, Pipeline, compile, findings
from graphc.analysis.contents import contents
from graphc.analysis.intervals import ANY, Interval, intervals
from graphc.errors import GraphcError
from graphc.linting.settings import Settings
from graphc.runtime.reference import evaluate

UNARY = [
    "Relu",
    "Sigmoid",
    "Tanh",
    "Abs",
    "Neg",
    "Exp",
    "Softmax",
    "Softplus",
    "Erf",
    "HardSigmoid",
    "Softsign",
    "Identity",
]
BINARY = ["Add", "Sub", "Mul", "Min", "Max"]
REDUCTIONS = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL1", "ReduceL2"]


@st.composite
def programs(draw: st.DrawFn) -> tuple[tuple[object, ...], ...]:
    """Steps that each take earlier values, by index."""
    steps = []
    for index in range(draw(st.integers(1, 7))):
        earlier = st.integers(0, index)
        kind = draw(st.sampled_from([*UNARY, *BINARY, *REDUCTIONS, "Clip", "Concat", "Sqrt", "Div", "Pow"]))
        steps.append((kind, draw(earlier), draw(earlier), draw(st.sampled_from([-3.0, -1.0, 0.0, 0.5, 2.0]))))
    return tuple(steps)


def built(steps: tuple[tuple[object, ...], ...]) -> ir.Model:
    def build(g: CaseBuilder) -> object:
        values = [g.input(2, 3, 4)]
        for kind, i, j, number in steps:
            x, y = values[i], values[j]
            const = g.constant(np.float32(number), name="c")
            if kind in UNARY:
                made = getattr(g, kind)(x)
            elif kind in BINARY:
                made = getattr(g, kind)(x, y)
            elif kind in REDUCTIONS:
                made = g.Add(
                    getattr(g, kind)(x, g.constant([-1], name="axes")), g.Mul(y, g.constant(np.float32(0), name="z"))
                )
            elif kind == "Clip":
                made = g.Clip(x, const, g.constant(np.float32(number + 1), name="h"))
            elif kind == "Concat":
                made = g.Slice(g.Concat(x, y, axis=2), *(g.constant([n], name="n") for n in (0, 4, 2)))
            elif kind == "Sqrt":
                made = g.Sqrt(g.Abs(x))
            elif kind == "Div":
                made = g.Div(x, g.Add(g.Abs(y), g.constant(np.float32(0.5), name="half")))
            else:
                made = g.Pow(x, g.constant(np.float32(2), name="two"))
            values.append(made)
        return tuple(values[1:])

    return Case("random", build).model()


@settings(max_examples=150, deadline=None)
@given(programs(), st.integers(0, 2**31))
def test_every_value_of_a_run_lies_in_its_interval(steps: tuple[tuple[object, ...], ...], seed: int) -> None:
    model = built(steps)
    known = intervals(model.graph, 20)
    feeds = {"x0": np.random.default_rng(seed).standard_normal((2, 3, 4)) * 3}
    with np.errstate(all="ignore"):
        found = evaluate(model, {name: array.astype(np.float32) for name, array in feeds.items()})
    for value in model.graph.outputs:
        array, bound = np.asarray(found[value.name], np.float64), known[value]
        array = array[np.isfinite(array)]
        slack = 1e-5 * max(1.0, float(np.abs(array).max(initial=0.0)))  # the run rounds, intervals do not
        assert (array >= bound.low - slack).all(), value.producer()
        assert (array <= bound.high + slack).all(), value.producer()


@pytest.mark.parametrize(
    ("build", "bound"),
    [
        (lambda g: g.Relu(g.input(2)), Interval(0)),
        (lambda g: g.Mul(x := g.input(2), x), Interval(0)),
        (lambda g: g.Sub(x := g.input(2), g.ReduceMax(x)), Interval(high=0)),
        (lambda g: g.ReduceSum(g.Sigmoid(g.input(2, 8)), g.constant([1], name="a")), Interval(0, 8)),
        (lambda g: g.ReduceSum(g.Sigmoid(g.input(2, "N")), g.constant([1], name="a")), Interval(0)),
        (lambda g: g.Div(g.Tanh(g.input(2)), g.constant(np.float32(0), name="z")), ANY),
        (lambda g: g.Conv(g.input(1, 1, 3), g.weight(1, 1, 1)), ANY),
    ],
)
def test_bounds(build: object, bound: Interval) -> None:
    model = Case("bound", build).model()
    assert intervals(model.graph, 20)[model.graph.outputs[0]] == bound


def test_a_constant_is_between_its_least_and_its_greatest_unless_it_is_weights() -> None:
    def build(g: CaseBuilder) -> object:
        return tuple(g.Identity(g.constant(np.arange(n, dtype=np.float32), name="w")) for n in (9, 2000))

    model = Case("constants", build).model()
    found = intervals(model.graph, 20)
    assert [found[value] for value in model.graph.outputs] == [Interval(0, 8), ANY]


def test_counts_of_elements() -> None:
    array = np.array([np.nan, np.inf, -np.inf, 0, 1e-40, -2.5, 1e-30], np.float32)
    found = contents(ir.tensor(array))
    assert (found.nan, found.infinite, found.zero, found.subnormal, found.largest) == (1, 2, 1, 1, 2.5)
    half = contents(ir.tensor(np.array([6e-8, 6.2e-5], np.float16)))
    assert (half.subnormal, half.size) == (1, 2)


def test_a_wrong_rewrite_is_an_output_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    """output_mismatch: found by building and running, only when asked for."""
    model = Case("x", lambda g: g.Relu(g.Identity(g.input(1, 4)))).model()
    assert findings(model, settings=Settings(select=["numerics"], run=True)) == ()

    def wrong(pipeline: Pipeline, model: ir.Model) -> object:
        made = plain(pipeline, model)
        relu = next(node for node in made.model.graph if node.op_type == "Relu")
        sigmoid = ir.node("Sigmoid", relu.inputs, name="wrong")
        made.model.graph.insert_before(relu, sigmoid)
        sigmoid.outputs[0].type, sigmoid.outputs[0].shape = relu.outputs[0].type, relu.outputs[0].shape
        relu.outputs[0].replace_all_uses_with(sigmoid.outputs[0], replace_graph_outputs=True)
        name = relu.outputs[0].name
        made.model.graph.remove(relu, safe=True)
        sigmoid.outputs[0].name = name
        return made

    plain = Pipeline.__call__
    monkeypatch.setattr(Pipeline, "__call__", wrong)
    with pytest.raises(GraphcError, match="differs"):
        compile(model, pipeline="drop-identity")
    (only,) = findings(model, settings=Settings(select=["numerics"], run=True))
    assert only.lint == "numerics/output-mismatch"
    assert findings(model, settings=Settings(select=["numerics"])) == ()


def test_lints_of_numerics_say_what_they_could_not_run(tmp_path: Path) -> None:
    model = Case("x", lambda g: g.Relu(g.input(None, 4))).model()
    model.graph.inputs[0].shape = None
    found = findings(model, "numerics/domain-touches-zero", settings=Settings(run=True))
    assert [each.lint for each in found] == ["run/not-analysed"]
