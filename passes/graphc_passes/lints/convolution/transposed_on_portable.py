"""A transposed convolution in a model that is to run on the target `portable`.

Why    many accelerators have none, or one that is slow or wrong for some of its attributes. It is a convolution to the
       phases of its output and a DepthToSpace, without one multiplication more (Shi et al., CVPR 2016).
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.portable import forbidden, lowered
from graphc_passes.rewrites.transposed.replace_conv_transpose_with_conv import replace_conv_transpose_with_conv
from graphc_passes.rewrites.transposed.replace_conv_transpose_with_phase_convs import (
    replace_conv_transpose_with_phase_convs,
)
from graphc_passes.rewrites.transposed.replace_conv_transpose_with_subpixel_conv import (
    replace_conv_transpose_with_subpixel_conv,
)

FORMS = (
    replace_conv_transpose_with_conv,
    replace_conv_transpose_with_subpixel_conv,
    replace_conv_transpose_with_phase_convs,
)


@lint(category="convolution", severity="warning", help="build the model for that target: it is made of plain ones then")
def transposed_on_portable(subject: Subject) -> Iterator[Problem]:
    for node, opset in forbidden(subject, "ConvTranspose", "ConvTranspose"):
        yield lowered(node, opset, "the target has no transposed convolution", FORMS)


@transposed_on_portable.bad(target="portable")
def stride_2(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 2, 4, 4), strides=(2, 2), pads=(1, 1, 1, 1))


@transposed_on_portable.bad(target="portable")
def computed_weights(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 8, 8), g.input(4, 2, 2, 2), strides=(2, 2))


@transposed_on_portable.good(target="portable")
def a_convolution(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 8, 8), g.weight(4, 4, 3, 3))


@transposed_on_portable.good
def on_no_target(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 4, 8, 8), g.weight(4, 2, 4, 4), strides=(2, 2), pads=(1, 1, 1, 1))
