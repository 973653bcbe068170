"""The shipped specs: every one and every variant has its published size, is a valid model, and runs.

Published counts come from the papers and from the reference implementations named beside them. Where there is none, the
count is a sum over the layers of the paper's table, by the arithmetic of `conv`, `dense` and `norm` below.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort  # noqa: TID251  the oracle of these tests
import pytest

from graphc.spec import build, expand, variants

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


# ---------------------------------------------------------------- the networks


def variants(path: Path) -> list[str]:
    named = read(path).get("variants")
    return [f"{path.stem}@{name}" for name in named] if isinstance(named, Mapping) else [path.stem]


NETWORKS = [name for path in sorted(SPECS.glob("*.yaml")) for name in variants(path)]


def expanded(name: str) -> Network:
    spec, _, variant = name.partition("@")
    return expand(SPECS / f"{spec}.yaml", variant=variant or None)


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
    assert value.shape is not None
    return tuple(d if isinstance(d, int) else evaluate(str(d), dims) for d in value.shape.dims_text())
