"""What definitions ask of boxes, offsets and windows that are given as data."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from graphc import View
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.lints.graph._rules import Rules, content, first, fits, shown

RULES = Rules()


def _is(view: View, name: str, wanted: Sequence[int | None], what: str) -> str | None:
    """An input of a shape that others ask for."""
    found = sizes(view.input(name))
    return None if found is None or fits(found, wanted) else f"its {name} is {shown(found)}, and {what} {shown(wanted)}"


@RULES.of("NonMaxSuppression")
def _boxes(suppression: View) -> str | None:
    boxes, scores = sizes(suppression.input("boxes")), sizes(suppression.input("scores"))
    if boxes is not None and not fits(boxes, (None, None, 4)):
        return f"its boxes are {shown(boxes)}, and not [batch, boxes, 4]"
    batch, count = (None, None) if boxes is None else boxes[:2]
    if scores is None or fits(scores, (batch, None, count)):
        return None
    return f"its scores are {shown(scores)}, and its boxes ask for {shown((batch, None, count))}"


@RULES.of("MaxRoiPool")
def _pooled(pool: View) -> str | None:
    return _is(pool, "rois", (None, 5), "a region has five numbers:")


@RULES.of("RoiAlign")
def _aligned(align: View) -> str | None:
    rois, data = sizes(align.input("rois")), sizes(align.input("X"))
    if align.attr("sampling_ratio") < 0:
        return f"its sampling_ratio is {align.attr('sampling_ratio')}"
    problem = _is(align, "rois", (None, 4), "a region has four numbers:")
    if problem:
        return problem
    problem = _is(align, "batch_indices", (None if rois is None else rois[0],), "the regions ask for")
    images = content(align, "batch_indices")
    size = data[0] if data else None
    if problem or images is None or size is None:
        return problem
    far = images[(images < 0) | (images >= size)]
    return f"a region lies in image {int(far[0])}, and there are {size}" if far.size else None


@RULES.of("MaxUnpool")
def _unpool(unpool: View) -> str | None:
    data, kernel = sizes(unpool.input("X")), unpool.attr("kernel_shape") or ()
    given = (*kernel, *(unpool.attr("strides") or ()))
    if min(given, default=1) < 1:
        return f"kernel and strides {list(given)} are at least 1"
    pads = unpool.attr("pads") or ()
    if len(pads) == 2 * len(kernel) and any(pad >= taps for pad, taps in zip(pads, (*kernel, *kernel), strict=True)):
        return f"its pads {list(pads)} are no smaller than its kernel {list(kernel)}"
    return None if data is None else _is(unpool, "I", data, "the data")


@RULES.of("Col2Im")
def _columns(fold: View) -> str | None:
    data, image, block = sizes(fold.input("input")), content(fold, "image_shape"), content(fold, "block_shape")
    if image is None or block is None or image.shape != block.shape or image.ndim != 1:
        return None
    if (image < 1).any() or (block < 1).any():
        return f"its image {image.tolist()} and block {block.tolist()} are at least 1"
    ones, zeros = (1,) * image.size, (0,) * 2 * image.size
    strides, steps = fold.attr("strides") or ones, fold.attr("dilations") or ones
    pads = fold.attr("pads") or zeros
    if (len(strides), len(steps), len(pads)) != (image.size, image.size, 2 * image.size):
        return None  # which the checker says
    if min(*strides, *steps) < 1:
        return f"strides and dilations {[*strides, *steps]} are at least 1"
    spare = [
        size + pads[axis] + pads[axis + image.size] - (taps - 1) * steps[axis] - 1
        for axis, (size, taps) in enumerate(zip(image.tolist(), block.tolist(), strict=True))
    ]
    if min(spare) < 0:
        return f"its block {block.tolist()} reaches beyond the image {image.tolist()}"
    return _counted(
        data, prod(block.tolist()), [room // stride + 1 for room, stride in zip(spare, strides, strict=True)]
    )


def _counted(data: Sequence[int | None] | None, taps: int, counts: Sequence[int]) -> str | None:
    """The columns of a Col2Im, one for each place of the block."""
    if data is None or len(data) != 3:
        return None
    if data[1] is not None and data[1] % taps:
        return f"{data[1]} rows are no multiple of the {taps} elements of a block"
    if data[2] in (None, prod(counts)):
        return None
    return f"it has {data[2]} columns, and the block has {prod(counts)} places"


@RULES.of("DeformConv")
def _deformed(conv: View) -> str | None:
    data, filter_, groups = sizes(conv.input("X")), sizes(conv.input("W")), conv.attr("offset_group")
    if groups < 1:
        return f"its offset_group is {groups}"
    if data is None or filter_ is None or len(data) != 4 or len(filter_) != 4:
        return None
    if data[1] is not None and data[1] % groups:
        return f"{data[1]} channels are no {groups} offset groups of one size"
    made = [_places(conv, axis, data[axis + 2], filter_[axis + 2]) for axis in range(2)]
    taps = None if None in filter_[2:] else groups * prod(size or 0 for size in filter_[2:])
    what = "the data and the filter ask for"
    return first(
        _is(conv, "offset", (data[0], None if taps is None else 2 * taps, *made), what),
        _is(conv, "mask", (data[0], taps, *made), what),
    )


def _places(conv: View, axis: int, size: int | None, taps: int | None) -> int | None:
    """How often a filter fits along an axis; None where that is not known."""
    strides, steps = conv.attr("strides") or (1, 1), conv.attr("dilations") or (1, 1)
    pads = conv.attr("pads") or (0,) * 4
    if size is None or taps is None or (len(strides), len(steps), len(pads)) != (2, 2, 4) or strides[axis] < 1:
        return None
    return (size + pads[axis] + pads[axis + 2] - (taps - 1) * steps[axis] - 1) // strides[axis] + 1
