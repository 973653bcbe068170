"""What definitions ask of sizes, axes and steps that are inputs: one axis, one number for each, numbers that can be.

Where they are constants of the main graph, ONNX's inference tells most of it; of those that are computed only their
count is known.
"""

from __future__ import annotations

import numpy as np

from graphc import View
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.lints.graph._rules import Found, Rules, content, doubtful, first, fits, shown

RULES = Rules()
REDUCTIONS = ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
# operator -> the opset since which these inputs are lists
LISTS: dict[str, tuple[int, tuple[str, ...]]] = {
    **dict.fromkeys((f"Reduce{each}" for each in REDUCTIONS if each != "Sum"), (18, ("axes",))),
    "ReduceSum": (13, ("axes",)),
    "Reshape": (5, ("shape",)),
    "Slice": (10, ("starts", "ends", "axes", "steps")),
    "Split": (13, ("split",)),
    "Squeeze": (13, ("axes",)),
    "Tile": (6, ("repeats",)),
    "TopK": (10, ("K",)),
}


@RULES.of(*LISTS)
def _lists(view: View) -> str | None:
    since, names = LISTS[view.op_type]
    for name in names if view.opset >= since else ():
        found = sizes(view.input(name))
        if found is not None and len(found) != 1:
            return f"its {name} is {shown(found)}, and a list has one axis"
    return None


@RULES.of("Unsqueeze")
def _unsqueeze(unsqueeze: View) -> str | None:
    axes = sizes(unsqueeze.input("axes")) if unsqueeze.opset >= 13 else None
    return f"its axes is {shown(axes)}, and a list has one axis" if axes is not None and len(axes) > 1 else None


@RULES.of("DFT", "STFT")
def _signal(transform: View) -> str | None:
    """A signal ends in its parts; a real one of an STFT need not."""
    is_whole = transform.op_type == "DFT"
    data = sizes(transform.input("input" if is_whole else "signal"))
    if data and (is_whole or len(data) > 2) and data[-1] not in (None, 1, 2):
        return f"its signal {shown(data)} ends in {data[-1]} parts, and a number has one or two"
    step = None if is_whole else content(transform, "frame_step")
    return f"its frame_step is {step.tolist()}" if step is not None and (step < 1).any() else None


def _count(view: View, name: str) -> int | None:
    """How many numbers a list has, None where that is not known."""
    found = sizes(view.input(name))
    return found[0] if found is not None and len(found) == 1 else None


def _rank(view: View, name: str) -> int | None:
    found = sizes(view.input(name))
    return None if found is None else len(found)


def _differs(what: str, count: int | None, wanted: int | None, of: str) -> str | None:
    if count is None or wanted is None or count == wanted:
        return None
    return f"its {what} has {count} numbers, and there are {wanted} {of}"


def _not_one(view: View, *names: str) -> str | None:
    """An input that is to be one number."""
    for name in names:
        found = sizes(view.input(name))
        if found is not None and any(size not in (None, 1) for size in found):
            return f"its {name} is {shown(found)} and not one number"
    return None


@RULES.of("CumProd", "CumSum", "Trilu")
def _one_number(view: View) -> str | None:
    return _not_one(view, "k" if view.op_type == "Trilu" else "axis")


@RULES.of("Slice")
def _slice(slice_: View) -> str | None:
    if slice_.opset < 10:
        return None
    count = _count(slice_, "starts")
    return first(*(_differs(name, _count(slice_, name), count, "starts") for name in ("ends", "axes", "steps")))


@RULES.of("Split")
def _split(split: View) -> str | None:
    return None if split.opset < 13 else _differs("split", _count(split, "split"), len(split.outputs()), "outputs")


@RULES.of("Tile")
def _tile(tile: View) -> str | None:
    return None if tile.opset < 6 else _differs("repeats", _count(tile, "repeats"), _rank(tile, "input"), "axes")


@RULES.of("TopK")
def _topk(topk: View) -> str | None:
    return None if topk.opset < 10 else _not_one(topk, "K")


@RULES.of("CenterCropPad")
def _crop(crop: View) -> Found:
    axes, count = crop.attr("axes"), _count(crop, "shape")
    found = _differs("shape", count, len(axes) if axes else _rank(crop, "input_data"), "axes")
    return doubtful(found) if found and count == 1 else found  # ONNX Runtime takes it for each of them


@RULES.of("Pad")
def _pad(pad: View) -> str | None:
    if pad.opset < 11:
        return None
    stated = sizes(pad.input("axes")) if pad.opset >= 18 else None
    if stated is not None and len(stated) != 1:
        return f"its axes is {shown(stated)}, and a list has one axis"
    axes = _rank(pad, "data") if stated is None else stated[0]
    wanted = None if axes is None else 2 * axes
    return _not_one(pad, "constant_value") or _differs("pads", _count(pad, "pads"), wanted, "ends of axes")


@RULES.of("Resize")
def _resize(resize: View) -> Found:
    if resize.opset < 11:
        return None
    stated = resize.attr("axes") if resize.opset >= 18 else None
    axes = len(stated) if stated else _rank(resize, "X")
    for name in ("scales", "sizes"):
        count = _count(resize, name)
        problem = _differs(name, count, axes, "axes") if count else None  # an empty one is none
        given = None if problem or not count else content(resize, name)
        if given is not None and (given <= 0).any():
            found = f"its {name} has {given[given <= 0][0]:g}, which is not above 0"
            keeps = resize.opset >= 18 and resize.attr("keep_aspect_ratio_policy") != "stretch"
            return doubtful(found) if keeps and (given > 0).any() else found  # it may go by another axis
        if problem:
            return problem
    return _interpolated(resize, axes)


def _interpolated(resize: View, axes: int | None) -> str | None:
    """What goes with some modes only."""
    mode = resize.attr("mode")
    if resize.attr("coordinate_transformation_mode") == "tf_crop_and_resize" and axes is not None:
        problem = _differs("roi", _count(resize, "roi"), 2 * axes, "ends of axes")
        if problem:
            return problem
    smooth = resize.opset >= 18 and resize.attr("antialias")
    if smooth and mode == "nearest":
        return "it has antialias, and nothing is interpolated in mode 'nearest'"
    if resize.attr("exclude_outside") and mode != "cubic" and not smooth:
        return f"it has exclude_outside, and mode '{mode}' weighs nothing outside"
    return None


@RULES.of("Upsample")
def _upsample(upsample: View) -> str | None:
    return None if upsample.opset < 9 else _differs("scales", _count(upsample, "scales"), _rank(upsample, "X"), "axes")


@RULES.of("ConstantOfShape")
def _filled(filled: View) -> str | None:
    target = content(filled, "input")
    return None if target is None or not (target < 0).any() else f"its shape is {target.tolist()}"


@RULES.of("Div", "Mod")
def _division(division: View) -> str | None:
    divisor = content(division, "B")
    if divisor is None or divisor.dtype.kind not in "iu" or divisor.all():
        return None
    data = sizes(division.input("A"))
    return None if data is not None and 0 in data else "it divides integers by 0"


@RULES.of("Mod")
def _remainder(mod: View) -> str | None:
    data = mod.input("A")
    if mod.opset >= 28 or mod.attr("fmod") or data is None or data.dtype is None or not data.dtype.is_floating_point():
        return None
    return "its data are not integers, whose remainder it takes unless fmod is 1"


@RULES.of("AffineGrid")
def _grid(grid: View) -> str | None:
    target, theta = content(grid, "size"), sizes(grid.input("theta"))
    if target is not None and (target <= 0).any():
        return f"its size is {target.tolist()}"
    count = _count(grid, "size")
    if theta is None or count not in (4, 5):
        return None
    batch = None if target is None else int(np.ravel(target)[0])
    wanted = (batch, count - 2, count - 1)
    return None if fits(theta, wanted) else f"its theta is {shown(theta)}, and {count - 2} axes ask for {shown(wanted)}"
