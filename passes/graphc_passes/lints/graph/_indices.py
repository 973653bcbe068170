"""What definitions ask of indices, targets and orders of axes, where neither ONNX's checker nor inference looks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from graphc import View
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.lints.graph._rules import Found, Rules, all_sizes, content, doubtful, first, fits, shown

RULES = Rules()


# ---------------------------------------------------------------- layout


@RULES.of("Reshape")
def _reshape(reshape: View) -> str | None:
    data, target = all_sizes(reshape, "data"), content(reshape, "shape") if reshape.opset >= 5 else None
    if data is None or target is None or target.ndim != 1 or (target < 0).any():
        return None  # what -1 stands for, ONNX's inference checks
    copies = reshape.opset < 14 or reshape.attr("allowzero") != 1
    if copies and (target[len(data) :] == 0).any():
        return None
    made = [data[axis] if copies and not size else size for axis, size in enumerate(target.tolist())]
    if prod(made) == prod(data):
        return None
    return f"{shown(data)} has {prod(data)} elements, and {shown(made)} {prod(made)}"


@RULES.of("Transpose")
def _transpose(transpose: View) -> str | None:
    data, order = sizes(transpose.input("data")), transpose.attr("perm")
    if data is None or order is None or sorted(order) == list(range(len(data))):
        return None
    return f"its perm {list(order)} is no order of the {len(data)} axes of the data"


@RULES.of("DepthToSpace", "SpaceToDepth")
def _blocks(blocks: View) -> str | None:
    data, size = sizes(blocks.input("input")), blocks.attr("blocksize")
    if data is None or len(data) != 4 or not isinstance(size, int) or size < 1:
        return None
    is_depth = blocks.op_type == "DepthToSpace"
    whole, what = (data[1:2], "channels") if is_depth else (data[2:], "rows and columns")
    by = size**2 if is_depth else size
    if all(each is None or each % by == 0 for each in whole):
        return None
    return f"its {what} {shown(whole)} are no multiples of {by}"


@RULES.of("Pad")
def _pad(pad: View) -> str | None:
    pads = None if pad.opset < 11 else content(pad, "pads")
    data = sizes(pad.input("data"))
    if pads is None or data is None or pad.attr("mode") != "reflect":
        return None
    stated = content(pad, "axes") if pad.opset >= 18 else None
    if pad.opset >= 18 and pad.input("axes") is not None and stated is None:
        return None
    axes = range(len(data)) if stated is None else [int(axis) for axis in np.ravel(stated)]
    if pads.size != 2 * len(axes) or any(not -len(data) <= axis < len(data) for axis in axes):
        return None  # which the checker says
    for axis, count in zip(axes, pads.reshape(2, -1).max(0).tolist(), strict=True):
        size = data[axis]
        if size is not None and count >= size > 0:
            return f"it reflects {count} elements beyond an axis of {size}"
    return None


# ---------------------------------------------------------------- indices


@RULES.of("Gather", "GatherElements")
def _gather(gather: View) -> str | None:
    data, axis = sizes(gather.input("data")), gather.attr("axis")
    if data is None:
        return None
    if gather.op_type == "GatherElements":
        problem = _elements(sizes(gather.input("indices")), data, axis)
        if problem:
            return problem
    return _outside(content(gather, "indices"), data[axis]) if -len(data) <= axis < len(data) else None


def _elements(indices: Sequence[int | None] | None, data: Sequence[int | None], axis: int) -> str | None:
    """Indices of as many axes as the data, and no longer than it but along the one they count."""
    if not -len(data) <= axis < len(data):
        return f"axis is {axis}, and the data has {len(data)}"
    if indices is None:
        return None
    if len(indices) != len(data):
        return f"its indices {shown(indices)} have another number of axes than the data {shown(data)}"
    pairs = enumerate(zip(indices, data, strict=True))
    far = [at for at, (count, size) in pairs if at != axis % len(data) and count and size is not None and count > size]
    return f"its indices {shown(indices)} are longer than the data {shown(data)} along axis {far[0]}" if far else None


@RULES.of("GatherND")
def _gather_nd(gather: View) -> str | None:
    batches = gather.attr("batch_dims") if gather.opset >= 12 else 0
    return _outside_each(content(gather, "indices"), sizes(gather.input("data")), batches)


@RULES.of("Scatter", "ScatterElements")
def _scatter(scatter: View) -> str | None:
    data, indices, updates = (sizes(scatter.input(name)) for name in ("data", "indices", "updates"))
    if indices is not None and updates is not None and not fits(indices, updates):
        return f"its updates are {shown(updates)}, and its indices {shown(indices)}"
    axis = scatter.attr("axis")
    if data is None:
        return None
    return _elements(indices, data, axis) or _outside(content(scatter, "indices"), data[axis])


@RULES.of("ScatterND")
def _scatter_nd(scatter: View) -> str | None:
    data, indices, updates = (sizes(scatter.input(name)) for name in ("data", "indices", "updates"))
    if data is None or not indices or indices[-1] is None:
        return None
    if indices[-1] > len(data):
        return f"its indices have {indices[-1]} coordinates, and the data {len(data)} axes"
    wanted = (*indices[:-1], *data[indices[-1] :])
    if updates is not None and not fits(updates, wanted):
        return f"its updates are {shown(updates)}, and its indices ask for {shown(wanted)}"
    return _outside_each(content(scatter, "indices"), data, 0)


def _outside(indices: np.ndarray | None, size: int | None) -> str | None:
    """An index that an axis of that size does not have; negative ones count from its end."""
    if indices is None or size is None or indices.size == 0:
        return None
    wrong = indices[(indices < -size) | (indices >= size)]
    return f"its index {int(wrong[0])} is beyond an axis of {size}" if wrong.size else None


def _outside_each(indices: np.ndarray | None, data: Sequence[int | None] | None, start: int) -> str | None:
    """As `_outside`, for coordinates along the last axis of the indices, of the axes of the data from `start` on."""
    if indices is None or data is None or indices.ndim == 0 or start + indices.shape[-1] > len(data):
        return None
    return first(*(_outside(indices[..., axis], data[start + axis]) for axis in range(indices.shape[-1])))


@RULES.of("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def _loss(loss: View) -> Found:
    names = ("input", "target", "weight") if loss.op_type[0] == "N" else ("scores", "labels", "weights")
    scores, labels, weights = (sizes(loss.input(name)) for name in names)
    if scores is None:
        return None
    if len(scores) < 2:
        return f"its {names[0]} is {shown(scores)}, and not [batch, classes, ...]"
    wanted = (scores[0], *scores[2:])
    if labels is not None and not fits(labels, wanted):
        return f"its {names[1]} is {shown(labels)}, and {names[0]} {shown(scores)} asks for {shown(wanted)}"
    problem = _label(content(loss, names[1]), scores[1], loss.attr("ignore_index"))
    if problem is None and weights is not None and not fits(weights, (scores[1],)):
        found = f"its {names[2]} is {shown(weights)}, and there are {shown(scores[1:2])} classes"
        return doubtful(found) if len(weights) == 1 else found
    return problem


def _label(labels: np.ndarray | None, classes: int | None, ignored: int | None) -> Found:
    """A label that is none of the classes, nor the one that is not looked at."""
    if labels is None or classes is None:
        return None
    wrong = labels[((labels < 0) | (labels >= classes)) & (labels != ignored)]
    if wrong.size == 0:
        return None
    found = f"a label is {int(wrong[0])}, and there are {classes} classes"
    counts_from_the_end = ((wrong < 0) & (wrong >= -classes)).all()
    return doubtful(found) if counts_from_the_end else found


@RULES.of("CumProd", "CumSum")
def _cumsum(cumsum: View) -> str | None:
    data, axis = sizes(cumsum.input("x")), content(cumsum, "axis")
    if data is None or axis is None or axis.size != 1 or -len(data) <= int(axis.reshape(-1)[0]) < len(data):
        return None
    return f"axis is {int(axis.reshape(-1)[0])}, and the data has {len(data)}"


@RULES.of("Range")
def _range(made: View) -> str | None:
    step = content(made, "delta")
    return "its delta is 0" if step is not None and step.size == 1 and not step.any() else None
