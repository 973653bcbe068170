"""What definitions ask of the sizes of weights, scales and states, where neither ONNX's checker nor inference looks."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from graphc import View
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.lints.graph._rules import Found, Rules, content, doubtful, first, fits, shown, spreads

RULES = Rules()


def _per_channel(view: View, channels: int | None, *names: str) -> str | None:
    """One number for each channel in each of these inputs."""
    for name in names:
        found = sizes(view.input(name))
        if found is not None and not fits(found, (channels,)):
            count = "the channels" if channels is None else f"{channels} channels"
            return f"its {name} is {shown(found)}, and there is one number for each of {count}"
    return None


# ---------------------------------------------------------------- norms and activations


@RULES.of("InstanceNormalization")
def _instance_norm(norm: View) -> str | None:
    data = sizes(norm.input("input"))
    return _per_channel(norm, data[1], "scale", "B") if data is not None and len(data) > 1 else None


@RULES.of("GroupNormalization")
def _group_norm(norm: View) -> Found:
    data, groups = sizes(norm.input("X")), norm.attr("num_groups")
    channels = data[1] if data is not None and len(data) > 1 else None
    if groups is not None and groups < 1:
        return f"{groups} is no number of groups"
    if channels is not None and groups and channels % groups:
        return f"{channels} channels are no {groups} groups of one size"
    found = _per_channel(norm, channels if norm.opset >= 21 else groups, "scale", "bias")
    one_each = all(_elements(norm, name) in (1, channels) for name in ("scale", "bias"))
    return doubtful(found) if found and one_each else found  # ONNX Runtime repeats them


def _elements(view: View, name: str) -> int | None:
    """How many numbers an input has; None where that is not known."""
    found = sizes(view.input(name))
    return None if found is None or None in found else prod(size or 0 for size in found)


@RULES.of("LayerNormalization", "RMSNormalization")
def _layer_norm(norm: View) -> str | None:
    names = ("Scale", "B") if norm.op_type == "LayerNormalization" else ("scale",)
    return first(*(_broadcast(norm, name, "X") for name in names))


@RULES.of("PRelu")
def _prelu(relu: View) -> Found:
    found, slope, data = _broadcast(relu, "slope", "X"), sizes(relu.input("slope")), sizes(relu.input("X"))
    if not found or not slope or not data:
        return found
    width = max(len(slope), len(data))
    pairs = zip((1,) * (width - len(slope)) + tuple(slope), (1,) * (width - len(data)) + tuple(data), strict=True)
    either = all(a == b or 1 in (a, b) or None in (a, b) for a, b in pairs)
    return doubtful(found) if either else found  # ONNX Runtime repeats the data, too


def _broadcast(view: View, name: str, data: str) -> str | None:
    """An input that is repeated over the data, which is not repeated itself."""
    small, large = sizes(view.input(name)), sizes(view.input(data))
    if small is None or large is None or spreads(small, large):
        return None
    return f"its {name} {shown(small)} cannot be repeated over {shown(large)}"


@RULES.of("LRN")
def _lrn(norm: View) -> str | None:
    size = norm.attr("size")
    return None if size is None or (size > 0 and size % 2) else f"it sums over {size} channels, which is no odd number"


@RULES.of("LpNormalization", "MeanVarianceNormalization")
def _axes_of_norm(norm: View) -> Found:
    data = sizes(norm.input("input" if norm.op_type[0] == "L" else "X"))
    axes = (norm.attr("axis"),) if norm.op_type[0] == "L" else norm.attr("axes") or ()
    far = [axis for axis in axes if data is not None and not -len(data) <= axis < len(data)]
    found = f"axis is {far[0]}, and the data has {len(data or ())}" if far else None
    return doubtful(found) if found and len(far) < len(axes) else found  # ONNX Runtime passes over some of several


@RULES.of("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(pool: View) -> str | None:
    data = sizes(pool.input("X"))
    return f"the data {shown(data)} has no axis behind the channels" if data is not None and len(data) < 3 else None


@RULES.of("Clip")
def _clip(clip: View) -> str | None:
    if clip.opset < 11:
        return None
    for name in ("min", "max"):
        found = sizes(clip.input(name))
        if found is not None and (len(found) > 1 or found not in ((), (1,), (None,))):
            return f"its {name} is {shown(found)} and not one number"
    return None


@RULES.of("Dropout")
def _dropout(dropout: View) -> str | None:
    ratio = content(dropout, "ratio") if dropout.opset >= 12 else None
    if ratio is None or ratio.size != 1 or 0 <= float(ratio.reshape(-1)[0]) < 1:
        return None
    return f"its ratio {float(ratio.reshape(-1)[0]):g} is not in [0, 1)"


# ---------------------------------------------------------------- products


@RULES.of("Gemm")
def _gemm(gemm: View) -> str | None:
    a, b, c = (sizes(gemm.input(name)) for name in "ABC")
    if a is None or b is None or c is None or len(a) != 2 or len(b) != 2:
        return None
    made = (a[1 if gemm.attr("transA") else 0], b[0 if gemm.attr("transB") else 1])
    return None if spreads(c, made) else f"its C {shown(c)} cannot be repeated over the product {shown(made)}"


@RULES.of("Conv", "ConvInteger", "QLinearConv")
def _reach(conv: View) -> str | None:
    data, filter_ = ("X", "W") if conv.op_type == "Conv" else ("x", "w")
    x, w = sizes(conv.input(data)), sizes(conv.input(filter_))
    if conv.attr("auto_pad") != "NOTSET" and any(conv.attr("pads") or ()):
        return f"it has pads, and auto_pad '{conv.attr('auto_pad')}', which says the same"
    if x is None or w is None or len(x) != len(w) or conv.attr("auto_pad") not in ("NOTSET", "VALID"):
        return _quantised_filter(conv)
    spatial = len(x) - 2
    steps = tuple(conv.attr("dilations") or (1,) * spatial)
    pads = (0,) * (2 * spatial) if conv.attr("auto_pad") == "VALID" else conv.attr("pads") or (0,) * (2 * spatial)
    if len(steps) != spatial or len(pads) != 2 * spatial:
        return None  # which the checker says
    for axis, (size, taps, step) in enumerate(zip(x[2:], w[2:], steps, strict=True)):
        if size is None or taps is None:
            continue
        padded, reach = size + pads[axis] + pads[axis + spatial], (taps - 1) * step + 1
        if 0 < padded < reach:
            return f"its filter reaches over {reach} elements of axis {axis + 2}, and the padded data has {padded}"
    return _quantised_filter(conv)


def _quantised_filter(conv: View) -> str | None:
    """A scale and a zero point for the filter as a whole, or for each output channel; one for the data."""
    if conv.op_type == "Conv":
        return None
    is_scaled = conv.op_type == "QLinearConv"
    whole = ("x_scale", "x_zero_point", "y_scale", "y_zero_point") if is_scaled else ("x_zero_point",)
    problem = _one_number(conv, *whole)
    if problem:
        return problem
    weights = sizes(conv.input("w"))
    for name in (("w_scale", "w_zero_point") if is_scaled else ("w_zero_point",)) if weights else ():
        found = sizes(conv.input(name))
        if found is not None and weights is not None and not (found in ((), (1,)) or fits(found, weights[:1])):
            return f"its {name} is {shown(found)}, and the filter {shown(weights)}"
    return None


def _one_number(view: View, *names: str) -> str | None:
    for name in names:
        found = sizes(view.input(name))
        if found is not None and found not in ((), (1,), (None,)):
            return f"its {name} is {shown(found)} and not one number"
    return None


@RULES.of("MatMulInteger", "QLinearMatMul")
def _quantised_product(product: View) -> str | None:
    """A scale and a zero point for a matrix as a whole, or for each row of the first one and column of the second."""
    is_scaled = product.op_type == "QLinearMatMul"
    for side, axis in (("a", -2), ("b", -1)):
        data = sizes(product.input(side if is_scaled else side.upper()))
        for name in (f"{side}_scale", f"{side}_zero_point") if is_scaled else (f"{side}_zero_point",):
            found = sizes(product.input(name))
            if data is None or found is None or len(found) != 1 or found[0] in (None, 1) or len(data) < 2:
                continue
            if not fits(found, (data[axis],)):
                return f"its {name} is {shown(found)}, and the matrix {shown(data)}"
    return _one_number(product, "y_scale", "y_zero_point") if is_scaled else None


@RULES.of("ConvTranspose")
def _output_shape(conv: View) -> str | None:
    """A size that is stated and that the data does not reach, however little is cut off."""
    stated, data, filter_ = conv.attr("output_shape"), sizes(conv.input("X")), sizes(conv.input("W"))
    if stated and min(stated) < 1:
        return f"its output_shape is {list(stated)}"
    if not stated or data is None or filter_ is None or not len(stated) == len(data) - 2 == len(filter_) - 2:
        return None
    ones, zeros = (1,) * len(stated), (0,) * len(stated)
    axes = (conv.attr("strides") or ones, conv.attr("dilations") or ones, conv.attr("output_padding") or zeros)
    if {len(each) for each in axes} != {len(stated)} or min(axes[0]) < 1:
        return None  # which the checker says
    for axis, (size, taps, made, stride, step, more) in enumerate(
        zip(data[2:], filter_[2:], stated, *axes, strict=True), 2
    ):
        if size is None or taps is None:
            continue
        reach = (taps - 1) * step + 1
        if stride * (size - 1) + more + reach < made and (made - more - reach) // stride + 1 != size:
            return f"its output_shape asks for {made} elements of axis {axis}, and {size} of the data reach less"
    return None


@RULES.of("ConvTranspose")
def _output_padding(conv: View) -> str | None:
    """Less than a stride, or than the dilation where that is larger: more would be an output that no input reaches."""
    added = conv.attr("output_padding") or ()
    ones = (1,) * len(added)
    for axis, (more, stride, step) in enumerate(
        zip(added, conv.attr("strides") or ones, conv.attr("dilations") or ones, strict=False)
    ):
        if more >= max(stride, step):
            return f"its output_padding of axis {axis + 2} is {more}, and its stride {stride}"
    return None


@RULES.of("AveragePool", "LpPool", "MaxPool")
def _pool(pool: View) -> str | None:
    kernel, pads = pool.attr("kernel_shape"), pool.attr("pads")
    if not kernel or not pads or len(pads) != 2 * len(kernel) or pool.attr("auto_pad") != "NOTSET":
        return None
    far = [(taps, pad) for taps, pad in zip((*kernel, *kernel), pads, strict=True) if pad >= taps]
    return f"it is padded by {far[0][1]}, and its kernel has {far[0][0]}: a window would see no data" if far else None


@RULES.of("Einsum")
def _einsum(einsum: View) -> str | None:
    equation = str(einsum.attr("equation") or "").replace(" ", "")
    given, arrow, made = equation.partition("->")
    terms = given.split(",")
    twice = [letter for letter in made if letter.isalpha() and made.count(letter) > 1]
    if twice:
        return f"'{equation}' makes '{twice[0]}' twice"
    if arrow and "..." in given and "..." not in made:
        return f"'{equation}' has an ellipsis in what it reads, and none in what it makes"
    if len(terms) != len(einsum.inputs()):
        return None
    return _letters(equation, terms, [sizes(value) for value in einsum.inputs()])


def _letters(equation: str, terms: Sequence[str], shapes: Sequence[Sequence[int | None] | None]) -> str | None:
    """A letter that stands for two sizes, or axes of ellipses that cannot be broadcast; 1 goes with any size."""
    found: dict[str | int, int] = {}
    for term, shape in zip(terms, shapes, strict=True):
        if shape is None or len(term.replace("...", "")) > len(shape):
            continue
        before, dots, after = term.partition("...")
        hidden = len(shape) - len(before) - len(after)
        if hidden and not dots:
            return f"'{term}' of '{equation}' names {len(term)} axes, and the data has {len(shape)}"
        names: list[str | int] = [*before, *range(-hidden, 0), *after]
        for name, size in zip(names, shape, strict=True):
            if size not in (None, 1) and found.setdefault(name, size) != size:
                what = f"'{name}'" if isinstance(name, str) else "an axis of the ellipsis"
                return f"{what} of '{equation}' stands for {found[name]} and for {size}"
    return None


# ---------------------------------------------------------------- quantised


@RULES.of("DequantizeLinear", "QuantizeLinear")
def _quantised(quantise: View) -> str | None:
    side = "y" if quantise.op_type[0] == "Q" else "x"
    data, scale, zero = (sizes(quantise.input(name)) for name in ("x", f"{side}_scale", f"{side}_zero_point"))
    if scale is None or quantise.opset < 13:
        return None
    if zero is not None and not fits(zero, scale) and not {zero, scale} <= {(), (1,), (None,)}:
        return f"its zero point is {shown(zero)}, and its scale {shown(scale)}"
    if data is None or scale in ((), (1,), (None,)):
        return None
    axis, block = quantise.attr("axis"), quantise.attr("block_size") if quantise.opset >= 21 else 0
    if not -len(data) <= axis < len(data):
        return f"axis is {axis}, and the data has {len(data)}"
    wanted = _blocks(data, axis, block) if block else (data[axis],)
    if fits(scale, wanted):
        return None
    by = f"in blocks of {block} along axis {axis}" if block else f"along axis {axis}"
    return f"its scale is {shown(scale)}, and {shown(data)} {by} asks for {shown(wanted)}"


def _blocks(data: Sequence[int | None], axis: int, block: int) -> tuple[int | None, ...]:
    """One scale for each block, and the last one may be shorter."""
    counts, size = list(data), data[axis]
    counts[axis] = None if size is None else -(-size // block)
    return tuple(counts)
