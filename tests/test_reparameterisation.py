"""Blocks in the form in which they are trained become one convolution, with the weights of the papers' closed forms.

The closed forms are computed from the raw parameters, one transform of the papers after another, in numpy; they share
no code with the rewrites.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from networks import telling_model

import graphc
from graphc.cases import as_type
from graphc.laws import FLOAT64_RELATIVE
from graphc.spec.doors import expand

PIPELINE = "drop-identity,fold-batchnorm-into-conv,fuse-consecutive-convs,fuse-parallel-convs"
EPSILON = 1e-5
Parameters = Mapping[str, np.ndarray]
Kernel = tuple[np.ndarray, np.ndarray]  # filter [K, C/groups, h, w] and bias

BLOCK = """
graphc: 1
name: block
inputs: {x: "f32[2, 6, 9, 8]"}
outputs: [y]
nodes:
  - id: y
    branch:
      merge: add
      act: relu
      paths:
"""
REPVGG = """
        - [{conv: {out: 6, k: 3, pad: 1, GROUPS bias: false, norm: batch_norm}, id: wide}]
        - [{conv: {out: 6, k: 1, GROUPS bias: false, norm: batch_norm}, id: point}]
        - [{batch_norm: {}, id: skip}]
"""
REPVGG_DOWN = """
        - [{conv: {out: 10, k: 3, pad: 1, stride: 2, bias: false, norm: batch_norm}, id: wide}]
        - [{conv: {out: 10, k: 1, stride: 2, bias: false, norm: batch_norm}, id: point}]
"""
ACNET = """
        - [{conv: {out: 8, k: [1, 3], pad: [0, 1], stride: 2, bias: false, norm: batch_norm}, id: flat}]
        - [{conv: {out: 8, k: [3, 1], pad: [1, 0], stride: 2, bias: false, norm: batch_norm}, id: upright}]
        - [{conv: {out: 8, k: 3, pad: 1, stride: 2, bias: false, norm: batch_norm}, id: wide}]
"""
# The paper pads between 1×1 and k×k with what the norm makes of zeros: the 1×1 is padded instead, before its norm.
DBB = """
        - [{conv: {out: 6, k: 3, pad: 1, bias: false, norm: batch_norm}, id: wide}]
        - [{conv: {out: 6, k: 1, bias: false, norm: batch_norm}, id: point}]
        - - {conv: {out: 6, k: 1, pad: 1, bias: false, norm: batch_norm}, id: before}
          - {conv: {out: 6, k: 3, pad: 0, bias: false, norm: batch_norm}, id: after}
        - - {conv: {out: 6, k: 1, pad: 1, bias: false, norm: batch_norm}, id: mix}
          - {avg_pool: {k: 3, stride: 1}}
          - {batch_norm: {}, id: pooled}
"""


# ---------------------------------------------------------------- the papers' transforms


def conv_bn(parameters: Parameters, conv: str) -> Kernel:
    """Transform I of DBB: a convolution without bias, and the norm behind it."""
    scale, shift = bn(parameters, f"{conv}/norm")
    return parameters[f"{conv}/weight"] * scale[:, None, None, None], shift


def bn(parameters: Parameters, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift of an inference-mode norm."""
    gamma, beta, mean, variance = (parameters[f"{norm}/{name}"] for name in ("scale", "bias", "mean", "variance"))
    deviation = np.sqrt(variance + EPSILON)
    return gamma / deviation, beta - mean * gamma / deviation


def sequence(first: Kernel, second: Kernel) -> Kernel:
    """Transform III of DBB: 1×1, then k×k without padding."""
    (a, a_bias), (b, b_bias) = first, second
    merged = np.zeros((b.shape[0], a.shape[1], *b.shape[2:]))
    for k, c in np.ndindex(merged.shape[:2]):
        merged[k, c] = sum(b[k, m] * a[m, c, 0, 0] for m in range(len(a)))
    bias = np.array([sum(b[k, m].sum() * a_bias[m] for m in range(len(a))) for k in range(len(b))])
    return merged, bias + b_bias


def average(channels: int, k: int) -> np.ndarray:
    """Transform V of DBB: an average pooling as a dense k×k convolution."""
    made = np.zeros((channels, channels, k, k))
    for channel in range(channels):
        made[channel, channel] = 1 / k**2
    return made


def padded(kernel: Kernel) -> Kernel:
    """Transform VI of DBB: a 1×1, 1×3 or 3×1 in the middle of a 3×3."""
    filter_, bias = kernel
    h, w = ((3 - size) // 2 for size in filter_.shape[2:])
    return np.pad(filter_, ((0, 0), (0, 0), (h, h), (w, w))), bias


def added(*kernels: Kernel) -> Kernel:
    """Transform II of DBB: parallel branches of one shape."""
    return sum(filter_ for filter_, _ in kernels), sum(bias for _, bias in kernels)  # type: ignore[return-value]


# ---------------------------------------------------------------- the blocks


def repvgg(p: Parameters, groups: int = 1) -> Kernel:
    """Ding et al., CVPR 2021, section 3.3: the identity is a 1×1 with a unit matrix."""
    scale, shift = bn(p, "path.2/skip")
    inner = 6 // groups
    unit = np.zeros((6, inner, 1, 1))
    for channel in range(6):
        unit[channel, channel % inner] = scale[channel]
    return added(conv_bn(p, "path.0/wide"), padded(conv_bn(p, "path.1/point")), padded((unit, shift)))


def repvgg_down(p: Parameters) -> Kernel:
    return added(conv_bn(p, "path.0/wide"), padded(conv_bn(p, "path.1/point")))


def acnet(p: Parameters) -> Kernel:
    """Ding et al., ICCV 2019, equations 5 and 6."""
    return added(*(padded(conv_bn(p, name)) for name in ("path.0/flat", "path.1/upright", "path.2/wide")))


def dbb(p: Parameters) -> Kernel:
    """Ding et al., CVPR 2021, figure 1."""
    deep = sequence(conv_bn(p, "path.2/before"), conv_bn(p, "path.2/after"))
    scale, shift = bn(p, "path.3/pooled")
    pooled = sequence(conv_bn(p, "path.3/mix"), (average(6, 3) * scale[:, None, None, None], shift))
    return added(conv_bn(p, "path.0/wide"), padded(conv_bn(p, "path.1/point")), deep, pooled)


def model(tmp_path: Path, paths: str, **groups: int) -> ir.Model:
    text = "".join(f"groups: {count}, " for count in groups.values())
    file = tmp_path / "block.yaml"
    file.write_text(BLOCK + paths.replace("GROUPS ", text), "utf-8")
    return telling_model(expand(str(file)))


def constants(graph: ir.Graph) -> dict[str, np.ndarray]:
    """Initializers by the path of their layer in the block, in float64."""
    found = {}
    for name, value in graph.initializers.items():
        assert value.const_value is not None
        found[name.removeprefix("y/")] = value.const_value.numpy().astype(np.float64)
    return found


BLOCKS = {
    "RepVGG": (REPVGG, repvgg, {}),
    "RepVGG in groups": (REPVGG, lambda p: repvgg(p, 2), {"groups": 2}),
    "RepVGG, strided": (REPVGG_DOWN, repvgg_down, {}),
    "ACNet": (ACNET, acnet, {}),
    "DBB": (DBB, dbb, {}),
}


@pytest.mark.parametrize(("paths", "closed_form", "groups"), BLOCKS.values(), ids=BLOCKS)
def test_block_becomes_one_convolution(
    tmp_path: Path, paths: str, closed_form: Callable[[Parameters], Kernel], groups: dict[str, int]
) -> None:
    before = model(tmp_path, paths, **groups)
    after = graphc.Pipeline(PIPELINE)(before.clone()).model
    assert [node.op_type for node in after.graph] == ["Conv", "Relu"]
    assert graphc.check(before, after).passed

    wide = graphc.Pipeline(PIPELINE)(as_type(before, ir.DataType.DOUBLE)).model
    assert [node.op_type for node in wide.graph] == ["Conv", "Relu"]
    for found, expected in zip(wide.graph[0].inputs[1:], closed_form(constants(before.graph)), strict=True):
        assert found is not None
        np.testing.assert_allclose(graphc.constant(found), expected, rtol=FLOAT64_RELATIVE, atol=FLOAT64_RELATIVE)


def test_diverse_branch_block_pads_as_its_paper(tmp_path: Path) -> None:
    """1×1 and norm, then the border filled with the norm of zeros, then k×k: as the spec has it, with the pad first."""
    p = constants(model(tmp_path, DBB).graph)
    x = np.random.default_rng(0).standard_normal((6, 5, 4))
    (point, shift), (wide, bias) = conv_bn(p, "path.2/before"), conv_bn(p, "path.2/after")

    inner = np.tensordot(point[:, :, 0, 0], x, 1) + shift[:, None, None]
    of_paper = np.broadcast_to(shift[:, None, None], (6, 7, 6)).copy()
    of_paper[:, 1:-1, 1:-1] = inner
    of_spec = np.tensordot(point[:, :, 0, 0], np.pad(x, ((0, 0), (1, 1), (1, 1))), 1) + shift[:, None, None]
    np.testing.assert_allclose(of_spec, of_paper)

    merged, merged_bias = sequence((point, shift), (wide, bias))
    np.testing.assert_allclose(
        slide(np.pad(x, ((0, 0), (1, 1), (1, 1))), merged, merged_bias), slide(of_paper, wide, bias)
    )


def slide(x: np.ndarray, filter_: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A 3×3 convolution of [C, H, W] without padding, window by window."""
    height, width = x.shape[1] - 2, x.shape[2] - 2
    out = np.empty((len(filter_), height, width))
    for row, column in np.ndindex(height, width):
        window = x[:, row : row + 3, column : column + 3]
        out[:, row, column] = np.tensordot(filter_, window, 3) + bias
    return out
