"""Reading a Conv or ConvTranspose as the nest it is, also where a size is only known at run time."""

from __future__ import annotations

from collections.abc import Sequence

from graphc import Convolution, GraphcError, Refusal, View, read_convolution
from graphc_passes.nodes.stated import ANY_SIZE, known_sizes, shape_of, spatial_sizes


def read_nest(view: View, any_size: int = ANY_SIZE) -> Convolution:
    """The nest over a batch of 1; sizes that are not known stand at `any_size`.

    Its begin pads do not depend on them, nor do the end pads at stride 1. Raises Refusal when the size of the filter is
    not known, or `output_shape` makes pads of a size that is not, and where the node contradicts itself.
    """
    shape, filter_ = shape_of(view.required("X")), known_sizes(view.required("W"))
    dynamic = not all(isinstance(size, int) for size in shape[2:])
    if view.op_type == "ConvTranspose" and dynamic and view.attr("output_shape"):
        raise Refusal("output_shape with a size that is not known: the pads depend on it")
    channels = filter_[0] if view.op_type == "ConvTranspose" else filter_[1] * view.attr("group")
    return nest_over(view, [1, channels, *spatial_sizes(view.required("X"), any_size)])


def nest_over(view: View, data: Sequence[int]) -> Convolution:
    """The convolution that a node is over data of that shape. Raises Refusal where the node contradicts itself."""
    try:
        return read_convolution(view, data, known_sizes(view.required("W")))
    except GraphcError as error:
        raise Refusal(error.message) from error


def both_sides(pads: Sequence[tuple[int, int]]) -> list[int]:
    """(begin, end) of each axis as the attribute `pads`: all begins, then all ends."""
    return [begin for begin, _ in pads] + [end for _, end in pads]
