"""Replace a dense 3 × 3 convolution with Winograd's minimal filtering, 2 × 2 outputs at a time: F(2×2, 3×3).

Law    Y = Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A of each tile: the data transformed by two depthwise convolutions, one matrix product
       over the channels for each of its 4 × 4 numbers, the outputs by a matrix product and a depth to space
Why    4 instead of 9 multiplications for each output and pair of channels (Lavin & Gray, CVPR 2016); the transforms
       cost some in proportion to the channels, so it pays from about 16 channels on. Its roundings weigh 7.1 times as
       much as those of the direct sum, so it is for those who ask for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import onnx_ir as ir

from graphc import Case, Tape, View, require, rewrite
from graphc_passes.nodes.winograd import F2, MOST_CHANNELS, read_dense_3x3, winograd
from graphc_passes.sampling.winograd import dense_3x3_cases, dense_3x3_sample


@rewrite("Conv", numerics="approximates", bound=F2.bound(axes=2), improves=("macs",))
def replace_conv_with_winograd_f2(root: View, op: Tape) -> ir.Value:
    conv, pads = read_dense_3x3(root)
    require(
        root.required("X").dtype in (ir.DataType.FLOAT, ir.DataType.DOUBLE),
        "not of float32",
        conservative="the bound is that of float32: a narrower type loses more",
    )
    require(
        conv.in_channels <= MOST_CHANNELS,
        "more input channels than the bound is for",
        conservative="the bound grows with the root of their number",
    )
    return winograd(op, conv, pads, F2)


@replace_conv_with_winograd_f2.cases
def cases() -> Iterator[Case]:
    yield from dense_3x3_cases()


@replace_conv_with_winograd_f2.samples
def samples(random: Random) -> Case:
    return dense_3x3_sample(random)
