"""Targets: what they forbid, how they price, and that `portable` runs every shipped network and the classics."""

from __future__ import annotations

from pathlib import Path

import light
import networks
import onnx_ir as ir
import pytest

from graphc.cases import Case, CaseBuilder
from graphc.compilation import compile
from graphc.errors import GraphcError
from graphc.pipeline import Pipeline, find_rewrite, named_pipelines, rewrites
from graphc.runtime.equivalence import check
from graphc.runtime.tolerance import derive
from graphc.target import find_target, is_target, targets, with_reasons

PORTABLE = find_target("portable")
SMALL = {"alexnet": {"hidden": 64}, "vgg16": {"hidden": 64}}  # the dense layers are most of their weight


def grouped_and_dilated(g: CaseBuilder) -> ir.Value:
    return g.Conv(g.input(1, 4, 9, 9), g.weight(4, 2, 3, 3), group=2, dilations=(2, 2), pads=(2, 2, 2, 2))


def test_a_form_is_forbidden_and_named() -> None:
    (left,) = PORTABLE.leftovers(Case("both", grouped_and_dilated).model())
    assert (left.op_type, left.what) == ("Conv", "a dilated convolution and a grouped convolution")


def test_shape_arithmetic_is_allowed_on_sizes_only() -> None:
    def build(g: CaseBuilder) -> tuple[ir.Value, ...]:
        x = g.input("N", 4, 3)
        return g.Gather(g.Shape(x), g.constant([0])), g.Gather(x, g.constant([0, 1]), axis=1)

    (left,) = PORTABLE.leftovers(Case("gathers", build).model())
    assert left.node == "n2_gather"


def test_a_rewrite_fires_where_it_is_a_step_towards_the_target() -> None:
    """Space-to-batch claims nothing and is dearer, but takes a dilation away; the reverse would bring one."""
    model = Case("both", grouped_and_dilated).model()
    made = Pipeline("replace-dilated-conv-with-space-to-batch,split-grouped-conv", target=PORTABLE)(model)
    assert made.record.fired == {"replace-dilated-conv-with-space-to-batch": 1, "split-grouped-conv": 1}
    assert not PORTABLE.leftovers(made.model)
    back = Pipeline("fuse-split-convs,replace-space-to-batch-conv-with-dilated-conv", target=PORTABLE)(made.model)
    assert not any(back.record.fired.values())


def test_an_option_overrules_the_target() -> None:
    model = Case("plain", lambda g: g.Conv(g.input(1, 2, 5, 5), g.weight(2, 2, 3, 3), strides=(2, 2))).model()
    name = "replace-strided-conv-with-space-to-depth"
    assert not Pipeline(name, target=PORTABLE)(model.clone()).record.fired[name]
    assert Pipeline(f"{name}{{when=always}}", target=PORTABLE)(model.clone()).record.fired[name]


def test_a_target_of_one_s_own(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text("name: tiny\ndoc: only convolutions\npipeline: inference\nallows: [Conv]\n")
    model = Case("relu", lambda g: g.Relu(g.Conv(g.input(1, 2, 5, 5), g.weight(2, 2, 3, 3)))).model()
    made = compile(model, target=str(file))
    assert [left.op_type for left in made.leftovers] == ["Relu"]


def test_unnamed_nodes_are_counted_one_by_one() -> None:
    model = Case(
        "twice", lambda g: g.TopK(g.TopK(g.input(4), g.constant([3]), outputs=2)[0], g.constant([2]), outputs=2)
    ).model()
    for node in model.graph:
        node.name = None
    assert len(PORTABLE.leftovers(model)) == 2


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name: a\ndoc: b\npipeline: c\nallows: []\n", "'allows'"),
        ("name: a\ndoc: b\npipeline: c\nallows: [Conv]\nmore: 1\n", "'more'"),
        ("name: a\ndoc: b\npipeline: c\nallows: [Conv]\npenalties: {Relu: 0}\n", "'penalties.Relu'"),
    ],
)
def test_a_broken_target_says_what_is_wrong(tmp_path: Path, text: str, what: str) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(GraphcError, match=r"wrong\.yaml is no target") as error:
        find_target(file)
    assert what in error.value.message


def test_an_unknown_target_is_an_error() -> None:
    assert not is_target("portabel")
    with pytest.raises(GraphcError, match="unknown target 'portabel'") as error:
        find_target("portabel")
    assert error.value.hint == "did you mean 'portable'?"


def test_every_shipped_target_names_a_pipeline_that_is_there() -> None:
    assert targets()
    for name in targets():
        assert find_target(name).pipeline in named_pipelines()


# ---------------------------------------------------------------- portable


@pytest.mark.parametrize("name", networks.variants())
def test_portable_runs_every_shipped_network(name: str) -> None:
    spec = networks.expanded(name, **SMALL.get(name.partition("@")[0], {}))
    stays_equal(networks.telling_model(spec))


@pytest.mark.parametrize("name", light.light_models())
def test_portable_runs_the_nine_light_models(name: str) -> None:
    stays_equal(light.load_light(name))


def stays_equal(original: ir.Model) -> None:
    made = Pipeline(PORTABLE.pipeline, target=PORTABLE)(original.clone())
    assert not PORTABLE.leftovers(made.model)
    report = check(original, made.model, seeds=1, tolerance=derive(original, made.record.steps, made.model))
    assert report.passed, report.worst


PORTABLE_CASES = [
    pytest.param(case, id=f"{name}-{case.name}")
    for name, rewrite in sorted(rewrites().items())
    for case in rewrite.all_cases()
]


@pytest.mark.parametrize("case", PORTABLE_CASES)
def test_portable_runs_every_case_or_says_why_not(case: Case) -> None:
    """Every small model of the catalogue: allowed operators only, else every node that is left has a reason."""
    model = case.model()
    made = Pipeline(PORTABLE.pipeline, target=PORTABLE)(model)
    looked_at = {root for step in made.record.steps if step.is_rewrite for root in find_rewrite(step.name).roots}
    for left in with_reasons(PORTABLE.leftovers(made.model), made.record.steps):
        assert left.what
        assert left.why or left.op_type not in looked_at, left
