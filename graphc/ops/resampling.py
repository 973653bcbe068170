"""Interpolation: an output is a weighted sum of two (linear) or four (cubic) neighbours per resized axis."""

from __future__ import annotations

from graphc.convolution import static_shape
from graphc.costs import Cost
from graphc.ops.op import elements, op, traffic
from graphc.view import Refusal, View

NEIGHBOURS = {"nearest": 1, "linear": 2, "cubic": 4}


@op("Resize", "Upsample")
def resize(view: View) -> Cost:
    """Joint over the r resized axes: 2^r or 4^r multiply-adds per output, none for nearest.

    Antialiasing and cropping by a region choose other windows, which are not counted here.
    """
    if view.op_type == "Resize" and view.attr("antialias"):
        raise Refusal("antialiasing widens the window")
    if view.op_type == "Resize" and view.attr("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise Refusal("a region crops the data")
    out = view.node.outputs[0]
    sizes = zip(static_shape(view.required("X")), static_shape(out), strict=True)
    resized = sum(before != after for before, after in sizes)
    neighbours = NEIGHBOURS[view.attr("mode")] ** resized
    return Cost(mac=elements(out) * neighbours if neighbours > 1 else 0) + traffic(view)
