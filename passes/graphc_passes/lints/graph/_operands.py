"""What definitions ask of the sizes of weights, scales and states, where neither ONNX's checker nor inference looks."""

from __future__ import annotations

from graphc import View
from graphc_passes.lints.graph._graphs import sizes
from graphc_passes.lints.graph._rules import Rules, content, first, fits, shown, spreads

RULES = Rules()
GATES = {"GRU": 3, "LSTM": 4, "RNN": 1}


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
def _group_norm(norm: View) -> str | None:
    data, groups = sizes(norm.input("X")), norm.attr("num_groups")
    channels = data[1] if data is not None and len(data) > 1 else None
    if channels is not None and groups and channels % groups:
        return f"{channels} channels are no {groups} groups of one size"
    return _per_channel(norm, channels if norm.opset >= 21 else groups, "scale", "bias")


@RULES.of("LayerNormalization", "RMSNormalization")
def _layer_norm(norm: View) -> str | None:
    names = ("Scale", "B") if norm.op_type == "LayerNormalization" else ("scale",)
    return first(*(_broadcast(norm, name, "X") for name in names))


@RULES.of("PRelu")
def _prelu(relu: View) -> str | None:
    return _broadcast(relu, "slope", "X")


def _broadcast(view: View, name: str, data: str) -> str | None:
    """An input that is repeated over the data, which is not repeated itself."""
    small, large = sizes(view.input(name)), sizes(view.input(data))
    if small is None or large is None or spreads(small, large):
        return None
    return f"its {name} {shown(small)} cannot be repeated over {shown(large)}"


@RULES.of("LRN")
def _lrn(norm: View) -> str | None:
    size = norm.attr("size")
    return f"it sums over {size} channels, which is no odd number" if size is not None and size % 2 != 1 else None


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
    """A scale and a zero point for the filter as a whole, or for each output channel."""
    if conv.op_type != "QLinearConv":
        return None
    weights = sizes(conv.input("w"))
    for name in ("w_scale", "w_zero_point") if weights else ():
        found = sizes(conv.input(name))
        if found is not None and weights is not None and not (found in ((), (1,)) or fits(found, weights[:1])):
            return f"its {name} is {shown(found)}, and the filter {shown(weights)}"
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
    terms = equation.partition("->")[0].split(",")
    if "..." in equation or len(terms) != len(einsum.inputs()):
        return None
    found: dict[str, int] = {}
    for term, value in zip(terms, einsum.inputs(), strict=True):
        shape = sizes(value)
        for letter, size in (
            zip(term, shape or (), strict=False) if shape is not None and len(shape) == len(term) else ()
        ):
            if size in (None, 1):
                continue
            if found.setdefault(letter, size or 0) != size:
                return f"'{letter}' of '{equation}' stands for {found[letter]} and for {size}"
    return None


# ---------------------------------------------------------------- recurrent


@RULES.of("GRU", "LSTM", "RNN")
def _recurrent(cell: View) -> str | None:
    data, recurrence = sizes(cell.input("X")), sizes(cell.input("R"))
    hidden = cell.attr("hidden_size") or (recurrence[-1] if recurrence else None)
    if hidden is None:
        return None
    directions = 2 if cell.attr("direction") == "bidirectional" else 1
    rows = GATES[cell.op_type] * hidden
    wanted: dict[str, tuple[int | None, ...]] = {
        "W": (directions, rows, data[-1] if data else None),
        "R": (directions, rows, hidden),
        "B": (directions, 2 * rows),
        **({"P": (directions, 3 * hidden)} if cell.op_type == "LSTM" else {}),
    }
    for name, shape in wanted.items():
        given = sizes(cell.input(name))
        if given is not None and not fits(given, shape):
            return f"its {name} is {shown(given)}, and with {hidden} hidden units it would be {shown(shape)}"
    return None


@RULES.of("ReverseSequence")
def _reverse(reverse: View) -> str | None:
    data, lengths, axis = (
        sizes(reverse.input("input")),
        sizes(reverse.input("sequence_lens")),
        reverse.attr("batch_axis"),
    )
    if data is None or lengths is None or not -len(data) <= axis < len(data) or fits(lengths, (data[axis],)):
        return None
    return f"its lengths are {shown(lengths)}, and axis {axis} of {shown(data)} is the batch"


# ---------------------------------------------------------------- quantised


@RULES.of("DequantizeLinear", "QuantizeLinear")
def _quantised(quantise: View) -> str | None:
    data, scale = (
        sizes(quantise.input("x")),
        sizes(quantise.input(f"{'y' if quantise.op_type[0] == 'Q' else 'x'}_scale")),
    )
    if quantise.opset < 13 or data is None or scale is None or len(scale) != 1 or scale == (1,):
        return None
    axis = quantise.attr("axis")
    if not -len(data) <= axis < len(data):
        return f"axis is {axis}, and the data has {len(data)}"
    if fits(scale, (data[axis],)):
        return None
    return f"its scale has {shown(scale)} numbers, and axis {axis} of {shown(data)} another size"
