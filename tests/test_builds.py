"""Whole builds: every shipped network and variant, and the nine classics of the onnx wheel, stay what they are."""

from __future__ import annotations

import random
import zlib

import light
import networks
import onnx
import onnx_ir as ir
import pytest

import graphc
from graphc.errors import GraphcError
from graphc.pipeline import Pipeline, named_pipelines, parse
from graphc.runtime.equivalence import check
from graphc.runtime.tolerance import derive

FANCY = ("BatchNormalization", "Dropout", "Identity")
SMALL = {"alexnet": {"hidden": 64}, "vgg16": {"hidden": 64}}  # the dense layers are most of their weight


@pytest.mark.parametrize("name", networks.variants())
def test_every_variant_builds_and_keeps_its_function(name: str) -> None:
    """At full size: optimised by its own passes, accepted by the full checker, equal on ONNX Runtime."""
    network = networks.expanded(name)
    built = graphc.compile(networks.telling_model(network), pipeline=network.spec.passes)
    assert built.report is not None
    assert built.report.passed, built.report.worst
    onnx.checker.check_model(ir.to_proto(built.model), full_check=True)


@pytest.mark.parametrize("pipeline", sorted(named_pipelines()))
@pytest.mark.parametrize("name", [name for name in networks.variants() if "@" not in name])
def test_any_order_of_a_pipeline_ends_and_stays_equal(name: str, pipeline: str) -> None:
    """Law 9."""
    original = networks.telling_model(networks.expanded(name, **SMALL.get(name, {})))
    order = list(parse(named_pipelines()[pipeline]))
    random.Random(zlib.crc32(f"{name} {pipeline}".encode())).shuffle(order)
    result = Pipeline([{each: options} for each, options in order])(original.clone())
    tolerance = derive(original, result.record.steps, result.model)
    report = check(original, result.model, seeds=1, tolerance=tolerance)
    assert report.passed, f"{order}: {report.worst}"


def test_folding_leaves_nothing_to_fold() -> None:
    for name in ("can@can24", "resnet@r18", "style_transfer@bn", "drn@d22", "shufflenet_v2@x0.5"):
        built = graphc.compile(networks.telling_model(networks.expanded(name)), verify=False)
        left = [node.op_type for node in built.model.graph if node.op_type in FANCY]
        assert not left, f"{name}: {left}"


def test_subpixel_replaces_every_transposed_convolution() -> None:
    original = networks.telling_model(networks.expanded("super_resolution@x4"))
    name = "replace-conv-transpose-with-subpixel-conv"
    built = graphc.compile(original, pipeline=f"inference,{name}")
    assert built.record.fired[name] == 2
    assert not any(node.op_type == "ConvTranspose" for node in built.model.graph)


@pytest.mark.parametrize("name", light.light_models())
def test_the_nine_light_models_keep_their_function(name: str) -> None:
    """IR 3: their initializers are inputs that a caller may override, so nothing may be folded into them."""
    original = light.load_light(name)
    built = graphc.compile(original)
    assert built.report is not None
    assert built.report.passed
    assert [v.name for v in built.model.graph.inputs] == [v.name for v in original.graph.inputs]
    folded = [each for each, count in built.record.fired.items() if count and each.startswith("fold")]
    assert not folded


@pytest.mark.parametrize("name", ["densenet121", "inception_v2", "resnet50", "shufflenet"])
def test_frozen_light_models_fold_their_batch_norms(name: str) -> None:
    built = graphc.compile(light.load_light(name, freeze_inputs=True))
    assert built.record.fired["fold-batchnorm-into-conv"] > 0
    assert built.report is not None
    assert built.report.passed


def test_a_wrong_rewrite_stops_the_build() -> None:
    @graphc.rewrite("Relu", numerics="exact")
    def forget_relu(relu: graphc.View, op: graphc.Tape) -> ir.Value:
        return relu.required("X")

    network = networks.expanded("resnet@r18")
    with pytest.raises(GraphcError, match="differs from the original") as error:
        graphc.compile(networks.telling_model(network), pipeline=[forget_relu])
    assert error.value.code == "numerics/output-mismatch"
