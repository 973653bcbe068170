"""The shipped specs: every one and every variant has its published size, is a valid model, and runs.

Published counts come from the papers and from the reference implementations named beside them. Where there is
none, the count is a sum over the layers of the paper's table, in the arithmetic of `conv`, `dense`, `norm`.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort  # noqa: TID251 - the oracle of these tests
import pytest

from graphc.spec.document import read
from graphc.spec.doors import expand
from graphc.spec.expressions import evaluate
from graphc.spec.network import Network
from graphc.spec.parameters import Parameter
from graphc.spec.tree import MappingNode

SPECS = Path(__file__).parents[1] / "specs"


# ---------------------------------------------------------------- what the networks should weigh


def conv(inputs: int, outputs: int, kernel: int = 3, *, bias: bool = True) -> int:
    return inputs * outputs * kernel**2 + bias * outputs


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def norm(channels: int) -> int:  # scale and shift
    return 2 * channels


def weight_normed(inputs: int, outputs: int, kernel: int = 3) -> int:  # one more gain per output
    return conv(inputs, outputs, kernel) + outputs


def super_resolution(ups: int) -> int:
    conv_bn = conv(64, 64) + norm(64)
    return conv(3, 64, 9) + norm(64) + 4 * 2 * conv_bn + ups * conv_bn + conv(64, 3, 9)


def context(*widths: int) -> int:
    channels = [21, *(21 * w for w in widths)]
    return sum(map(conv, channels, channels[1:])) + conv(channels[-1], 21, 1)


def espcn(scale: int) -> int:
    return conv(1, 64, 5) + conv(64, 32) + conv(32, scale**2)


def fsrcnn() -> int:
    convs = conv(1, 56, 5) + conv(56, 12, 1) + 4 * conv(12, 12) + conv(12, 56, 1) + conv(56, 1, 9)
    slopes = 56 + 12 + 4 * 12 + 56
    return convs + slopes


def edsr(ups: int) -> int:  # with x2 stages, 64 channels, 16 blocks
    return conv(3, 64) + (2 * 16 + 1) * conv(64, 64) + ups * conv(64, 4 * 64) + conv(64, 3)


def wdsr(scale: int, *block: int) -> int:
    ends = weight_normed(3, 32) + weight_normed(32, 3 * scale**2) + weight_normed(3, 3 * scale**2, 5)
    return ends + 16 * sum(block)


def rcan(upscaling: int) -> int:
    attention = conv(64, 4, 1) + conv(4, 64, 1)
    group = 20 * (2 * conv(64, 64) + attention) + conv(64, 64)
    return conv(3, 64) + 10 * group + conv(64, 64) + upscaling + conv(64, 3)


def dmn(vocab: int = 200, width: int = 80, hops: int = 3) -> int:
    gru = 3 * (dense(width, width) + dense(width, width))  # three gates, from the input and from the state
    hop = dense(4 * width, width) + dense(width, 1) + dense(3 * width, width)
    return vocab * width + 2 * gru + gru + hops * hop + dense(2 * width, vocab)


def transformer(width: int, hidden: int) -> int:
    return 6 * (4 * dense(width, width) + dense(width, hidden) + dense(hidden, width) + 2 * norm(width))


WIDE = weight_normed(32, 128) + weight_normed(128, 32)
WIDER = weight_normed(32, 192, 1) + weight_normed(192, 25, 1) + weight_normed(25, 32)

COUNTS = {
    "alexnet": 60_965_224,  # sum over figure 2 of the paper; Caffe's bvlc_alexnet
    "can@can24": 37_219,  # the layers of table 1 of the paper, which rounds to 37K and 75K
    "can@can32": 74_997,
    "dilated_context@basic": context(1, 1, 1, 1, 1, 1, 1),
    "dilated_context@large": context(2, 2, 4, 8, 16, 32, 32),
    "dmn": dmn(),
    "drn@d22": 16_393_752,  # the authors' PyTorch implementation
    "edsr@x2": 1_369_859,  # the authors' PyTorch implementation
    "edsr@x3": 1_554_499,
    "edsr@x4": 1_517_571,
    "edsr@x8": edsr(ups=3),
    "edsr@x2-large": 40_729_603,
    "espcn@x2": espcn(2),
    "espcn@x3": 22_729,
    "espcn@x4": espcn(4),
    "fsrcnn@x2": fsrcnn(),
    "fsrcnn@x3": 12_464 + 173 + 172,  # table 1 of the paper counts weights: plus biases and PReLU slopes
    "fsrcnn@x4": fsrcnn(),
    "rcan@x2": rcan(conv(64, 4 * 64)),
    "rcan@x3": rcan(conv(64, 9 * 64)),
    "rcan@x4": 15_592_355,  # the authors' PyTorch implementation
    "rcan@x8": rcan(3 * conv(64, 4 * 64)),
    "resnet@r18": 11_689_512,  # torchvision
    "resnet@r34": 21_797_672,
    "resnet@r50": 25_557_032,
    "shufflenet_v1@g1": 1_531_936,  # the authors' PyTorch implementation; g4 by the same arithmetic
    "shufflenet_v1@g2": 1_733_848,
    "shufflenet_v1@g3": 1_865_728,
    "shufflenet_v1@g4": 1_968_344,
    "shufflenet_v1@g8": 2_434_768,
    "shufflenet_v2@x0.5": 1_366_792,  # torchvision
    "shufflenet_v2@x1.0": 2_278_604,
    "shufflenet_v2@x1.5": 3_503_624,
    "shufflenet_v2@x2.0": 7_393_996,
    "srcnn@9-1-5": 8_032 + 64 + 32 + 1,  # section 4.1 of the paper counts weights: plus biases
    "srcnn@9-5-5": 57_184 + 64 + 32 + 1,
    "style_transfer@bn": 1_679_235,  # same layers, and batch norm weighs what instance norm does
    "style_transfer@in": 1_679_235,  # pytorch/examples, fast_neural_style
    "super_resolution@x4": super_resolution(ups=2),
    "super_resolution@x8": super_resolution(ups=3),
    "transformer_encoder@base": transformer(512, 2048),
    "transformer_encoder@big": transformer(1024, 4096),
    "vgg16": 138_357_544,  # torchvision
    "wdsr@a": wdsr(2, WIDE),
    "wdsr@b": wdsr(2, WIDER),
    "wdsr@x2": wdsr(2, WIDE),
    "wdsr@x3": wdsr(3, WIDE),
    "wdsr@x4": wdsr(4, WIDE),
}
DEFAULTS = {  # the variant that each spec is when none is named
    "can": "can32",
    "dilated_context": "basic",
    "drn": "d22",
    "edsr": "x2",
    "espcn": "x3",
    "fsrcnn": "x3",
    "rcan": "x4",
    "resnet": "r18",
    "shufflenet_v1": "g3",
    "shufflenet_v2": "x1.0",
    "srcnn": "9-5-5",
    "style_transfer": "bn",
    "super_resolution": "x4",
    "transformer_encoder": "base",
    "wdsr": "a",
}
LOSS_NETWORKS = {  # the frozen part of VGG-16
    "style_transfer": conv(3, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128)
    + conv(128, 256) + 2 * conv(256, 256) + conv(256, 512) + 2 * conv(512, 512),
    "super_resolution": conv(3, 64) + conv(64, 64) + conv(64, 128) + conv(128, 128),
}  # fmt: skip
NARROWER = {  # run with fewer columns in the dense layers: 1 GB of weights less, and no operator less
    "alexnet": {"hidden": 64},
    "transformer_encoder@big": {"hidden": 64},
    "vgg16": {"hidden": 64},
}


# ---------------------------------------------------------------- the networks


def variants(path: Path) -> list[str]:
    named = read(path).get("variants")
    return [f"{path.stem}@{name}" for name in named] if isinstance(named, MappingNode) else [path.stem]


NETWORKS = [name for path in sorted(SPECS.glob("*.yaml")) for name in variants(path)]


def expanded(name: str, **params: int) -> Network:
    spec, _, variant = name.partition("@")
    return expand(SPECS / f"{spec}.yaml", variant=variant or None, params=params)


@pytest.fixture(scope="module", params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    """One network at a time: pytest runs all tests of one before it makes the next."""
    return expanded(request.param)


@pytest.fixture
def name(network: Network, request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["network"])


def elements(parameters: Iterable[Parameter]) -> int:
    return sum(prod(parameter.shape) for parameter in parameters)


def run(model: ir.Model, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs by ONNX Runtime without its optimiser, once the full checker has passed the model."""
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 2
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [np.asarray(output) for output in session.run(None, feeds)]


def sizes_of(value: ir.Value, dims: dict[str, int]) -> tuple[int, ...]:
    """The sizes of an input or output, of which the model says `4*H` or `H/2`."""
    assert value.shape is not None
    return tuple(d if isinstance(d, int) else evaluate(str(d.value), dims) for d in value.shape)


def feeds_for(network: Network, model: ir.Model, dims: dict[str, int]) -> dict[str, np.ndarray]:
    """Images in [0, 1), and word numbers below the vocabulary's size."""
    rng = np.random.default_rng(0)
    feeds = {}
    for value in model.graph.inputs:
        sizes = sizes_of(value, dims)
        if value.dtype == ir.DataType.INT64:
            feeds[value.name] = rng.integers(0, network.spec.params["vocab"], sizes)
        else:
            feeds[value.name] = rng.random(sizes, np.float32)
    return feeds


# ---------------------------------------------------------------- tests


def test_every_network_has_a_row_and_every_row_a_network() -> None:
    assert sorted(COUNTS) == sorted(NETWORKS)


def test_trainable_parameters(network: Network, name: str) -> None:
    assert elements(network.trainable.values()) == COUNTS[name]


def test_spec_says_what_it_is_and_keeps_its_budgets(network: Network) -> None:
    spec = network.spec
    assert all((spec.doc, spec.source, spec.dims, spec.targets))
    assert spec.passes == "inference"
    budgets = spec.lint.budgets
    assert elements(network.trainable.values()) <= (budgets.params or 0)
    assert len(network.nodes) <= (budgets.nodes or 0)


def test_training_is_described(network: Network) -> None:
    """The losses expand, so what the network gives and what it is trained on have one shape at every size."""
    train, training = network.spec.train, network.training
    assert train is not None
    assert training is not None
    assert all((train.batch, train.steps, training.optimizer, training.losses))


def test_runs_at_its_smallest_size(network: Network, name: str) -> None:
    if name in NARROWER:
        network = expanded(name, **NARROWER[name])
    network.fill()
    model = network.model()
    smallest = {name: dim.least for name, dim in network.spec.dims.items()}
    outputs = run(model, feeds_for(network, model, smallest))
    for value, output in zip(model.graph.outputs, outputs, strict=True):
        assert output.shape == sizes_of(value, smallest)
        assert np.isfinite(output).all()
        assert output.min() < output.max()


@pytest.mark.parametrize(("spec", "variant"), DEFAULTS.items())
def test_default_variant(spec: str, variant: str) -> None:
    default, named = expanded(spec), expanded(f"{spec}@{variant}")
    assert [str(node) for node in default.nodes] == [str(node) for node in named.nodes]


@pytest.mark.parametrize(("spec", "weights"), LOSS_NETWORKS.items())
def test_loss_network_is_cut_frozen_and_shared(spec: str, weights: int) -> None:
    network = expanded(spec)
    frozen = [p for path, p in network.emitter.parameters.items() if path.startswith("vgg/")]
    assert elements(frozen) == weights
    assert not any(p.trainable for p in frozen)
    assert not network.parameters.keys() & {p.path for p in frozen}, "inference does not need it"


@pytest.mark.parametrize("variant", ["basic", "large"])
def test_context_module_starts_as_the_identity(variant: str) -> None:
    """Section 3 of the paper. Maps that are not negative pass every ReLU; times 1 plus zeros is exact."""
    network = expanded(f"dilated_context@{variant}")
    network.fill()
    x = np.random.default_rng(0).random((1, 21, 16, 19), np.float32)
    (y,) = run(network.model(), {"x": x})
    np.testing.assert_array_equal(y, x)


@pytest.mark.parametrize("name", ["style_transfer@bn", "style_transfer@in", "super_resolution@x4"])
def test_images_come_out_between_0_and_255(name: str) -> None:
    network = expanded(name)
    network.fill()
    model = network.model()
    x = np.random.default_rng(0).random((1, 3, 64, 72), np.float32) * 1000
    (y,) = run(model, {model.graph.inputs[0].name: x})
    rounding = 255 * 4 * np.finfo(np.float32).eps  # tanh is within 2 ulp; the scale and the shift round once each
    assert -rounding <= y.min() < 127 < 128 < y.max() <= 255 + rounding


def test_style_transfer_has_the_sizes_of_the_supplement() -> None:
    """Table 1 there: a 256 x 256 image reflected 40 pixels out, 4 pixels less after each residual block."""
    network = expanded("style_transfer@bn")
    point = network.emitter.points.index({"N": 1, "H": 256, "W": 256})
    heights = [network.emitter.sizes(node.outputs[0])[point][2] for node in network.nodes if "Conv" in node.op_type]
    assert heights == [336, 168, 84, 82, 80, 78, 76, 74, 72, 70, 68, 66, 64, 128, 256, 256]


def test_words_are_weighed_by_position() -> None:
    """Section 3.1 of the paper: (1 - j/M) - (d/D)(1 - 2j/M), word j of M, component d of D, both from 1."""
    network = expanded("dmn")
    network.fill()
    model = network.model()
    weights = next(node for node in model.graph if node.name == "encode/weights").outputs[0]
    model.graph.outputs.append(weights)
    _, found = run(model, feeds_for(network, model, {}))
    words, size = found.shape
    wanted = [
        [(1 - j / words) - (d / size) * (1 - 2 * j / words) for d in range(1, size + 1)] for j in range(1, words + 1)
    ]
    # five roundings, of numbers that are at most 1
    np.testing.assert_allclose(found, wanted, rtol=0, atol=5 * np.finfo(np.float32).eps)
