"""Drop a Resize that keeps every size.

Law    resize(x, 1) = x     at scale 1 each output lies on its input, where every interpolation gives that input
Why    one read and write of the data less; a network for any scale leaves it behind at scale 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.stated import shape_of

ON_ITS_INPUT = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")


@rewrite("Resize", numerics="exact", improves=("bytes", "nodes"))
def drop_resize_by_one(resize: View, op: Tape) -> ir.Value:
    if resize.opset < 11:
        raise Refusal("before opset 11 nothing says where outputs lie")
    data = resize.required("X")
    require(_keeps_sizes(resize, data), "a size changes, or may")
    require(resize.attr("coordinate_transformation_mode") in ON_ITS_INPUT, "outputs do not lie on their inputs")
    resize.attr("mode")  # without effect, as are the next three, where no output lies between two inputs
    resize.attr("nearest_mode")
    resize.attr("exclude_outside")
    resize.input("roi")
    return data


def _keeps_sizes(resize: View, data: ir.Value) -> bool:
    sizes = resize.optional_constant("sizes")
    if sizes is None or not sizes.size:
        scales = resize.constant("scales")
        return bool(scales.size) and bool((scales == 1).all())
    resize.optional_constant("scales")  # empty, where opset 11 wants it
    shape = shape_of(data)
    axes = resize.attr("axes") or range(len(shape))
    return all(shape[axis] == size for axis, size in zip(axes, sizes, strict=True))


@drop_resize_by_one.cases
def cases() -> Iterator[Case]:
    yield Case("nearest", lambda g: g.Relu(g.Resize(g.input(1, 2, 3, 4), None, _scales(g, 1, 1, 1, 1), mode="nearest")))
    yield Case(
        "linear, a dynamic size",
        lambda g: g.Relu(g.Resize(g.input("N", 2, "W"), None, _scales(g, 1, 1, 1), mode="linear")),
    )
    yield Case("cubic, sizes", lambda g: g.Relu(_sized(g, (1, 2, 3, 4), [1, 2, 3, 4], mode="cubic")))
    yield Case(
        "corners aligned",
        lambda g: g.Relu(
            g.Resize(
                g.input(1, 2, 3, 4),
                None,
                _scales(g, 1, 1, 1, 1),
                mode="linear",
                coordinate_transformation_mode="align_corners",
            )
        ),
    )
    yield Case(
        "opset 10",
        lambda g: g.Relu(g.Resize(g.input(1, 2, 3, 4), _scales(g, 1, 1, 1, 1))),
        refuses="before opset 11 nothing says where outputs lie",
        opset=10,
    )
    yield Case(
        "a scale that keeps 5 of 5",
        lambda g: g.Relu(
            g.Resize(g.input(1, 2, "W"), None, _scales(g, 1, 1, 1.1), mode="linear"),
        ),
        refuses="a size changes, or may",
    )
    yield Case(
        "the upper half, at twice its size",
        lambda g: g.Relu(
            g.Resize(
                g.input(1, 2, 4, 5),
                _scales(g, 0, 0, 0, 0, 1, 1, 0.5, 1),
                _scales(g, 1, 1, 1, 1),
                mode="linear",
                coordinate_transformation_mode="tf_crop_and_resize",
            )
        ),
        refuses="outputs do not lie on their inputs",
    )
    yield Case(
        "scales that are computed",
        lambda g: g.Relu(g.Resize(g.input(1, 2, 3), None, g.input(3))),
        refuses="scales of Resize is not a constant",
    )


def _scales(g: CaseBuilder, *scales: float) -> ir.Value:
    return g.constant(np.asarray(scales, np.float32))


def _sized(g: CaseBuilder, shape: tuple[int | str, ...], sizes: list[int], **attributes: object) -> ir.Value:
    return g.Resize(g.input(*shape), None, None, g.constant(sizes), **attributes)


@drop_resize_by_one.samples
def samples(random: Random) -> Case:
    rank, opset = random.choice((3, 4, 4)), random.choice((13, 18, 20))
    shape = [random.randint(1, 5) for _ in range(rank)]
    changed, axes = random.random() < 0.3, [rank - 1, 0] if opset >= 18 and random.random() < 0.3 else None
    by_sizes = random.random() < 0.4
    attributes = {
        "mode": random.choice(("nearest", "linear", "cubic")),
        "coordinate_transformation_mode": random.choice((*ON_ITS_INPUT[0::2], "align_corners", "tf_crop_and_resize")),
        "nearest_mode": random.choice(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")),
        "exclude_outside": random.choice((0, 0, 1)),
    }

    def build(g: CaseBuilder) -> ir.Value:
        sizes = [*shape[:-1], shape[-1] + changed]
        scales = [new / old for new, old in zip(sizes, shape, strict=True)]
        if axes:
            sizes, scales = [sizes[axis] for axis in axes], [scales[axis] for axis in axes]
        roi = g.constant(np.asarray([0] * rank + [1] * rank, np.float32))
        by = (None, g.constant(sizes)) if by_sizes else (_scales(g, *scales), None)
        made = g.Resize(g.input(*shape), roi, *by, **attributes, axes=axes)
        return g.Neg(made)

    said = " ".join(map(str, attributes.values()))
    return Case(f"{shape} {'sizes' if by_sizes else 'scales'} {said}", build, opset=opset, seed=random.getrandbits(32))
