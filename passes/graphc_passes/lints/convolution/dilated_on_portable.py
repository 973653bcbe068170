"""A dilated convolution in a model that is to run on the target `portable`.

Why    many accelerators have none, and some that do compute it by the zeros between the taps. It is a plain convolution
       of each phase of its input, the phases laid into the batch (Shelhamer, Long and Darrell, 2017; TensorFlow's
       SpaceToBatch).
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, Problem, Subject, lint
from graphc_passes.nodes.portable import forbidden, lowered
from graphc_passes.rewrites.dilated.replace_dilated_conv_with_slice import replace_dilated_conv_with_slice
from graphc_passes.rewrites.dilated.replace_dilated_conv_with_space_to_batch import (
    replace_dilated_conv_with_space_to_batch,
)

FORMS = (replace_dilated_conv_with_slice, replace_dilated_conv_with_space_to_batch)


@lint(category="convolution", severity="warning", help="build the model for that target: it is made of plain ones then")
def dilated_on_portable(subject: Subject) -> Iterator[Problem]:
    for node, opset in forbidden(subject, "Conv", "a dilated convolution"):
        yield lowered(node, opset, "the target has no dilated convolution", FORMS)


@dilated_on_portable.bad(target="portable")
def dilated_by_2(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 12, 12), g.weight(4, 4, 3, 3), dilations=(2, 2), pads=(2, 2, 2, 2))


@dilated_on_portable.bad(target="portable")
def dilated_and_strided(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 12, 12), g.weight(4, 4, 4, 4), dilations=(3, 3), strides=(2, 2))


@dilated_on_portable.good(target="portable")
def not_dilated(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 12, 12), g.weight(4, 4, 3, 3), pads=(1, 1, 1, 1))


@dilated_on_portable.good
def on_no_target(g: CaseBuilder) -> object:
    return g.Conv(g.input(1, 4, 12, 12), g.weight(4, 4, 3, 3), dilations=(2, 2), pads=(2, 2, 2, 2))
