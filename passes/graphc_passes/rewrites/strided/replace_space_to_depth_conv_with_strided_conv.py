"""Replace a convolution over a space-to-depth with a strided convolution of the image itself.

Law    conv(space_to_depth(x, b), W, stride S, pads P) = conv(x, w, stride b·S, pads b·P)     w[k, c, b·j + q] =
       W[k, (c, q), j]; taps at either end that are zero everywhere, and stand on padding, are left out. The phases may
       be made by SpaceToDepth, by Reshape, Transpose, Reshape or by slices side by side; which ones come, in which
       order and how often is read off them.
Why    The rearrangement is one full read and write of the image, and slow: the Focus layer of YOLOv5 was replaced by a
       6×6 convolution of stride 2 for that. A Pad of zeros before it goes into the convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Axis, Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.nests import both_sides
from graphc_passes.nodes.padding import without_zeros
from graphc_passes.nodes.rearrangements import Part, Rearrangement, simplest
from graphc_passes.nodes.rearranging import space_to_depth
from graphc_passes.nodes.slicing import TO_THE_END, Cut, read_slice, sliced
from graphc_passes.nodes.stated import static_channels
from graphc_passes.nodes.windows import WindowedConv


@dataclass(frozen=True)
class Depth:
    """What the channels of a space-to-depth are: the phase `phases[n]` of channel `channels[n]` of `source`."""

    source: ir.Value
    blocks: tuple[int, ...]
    channels: np.ndarray  # [C]
    phases: np.ndarray  # [C, axes]


@rewrite("Conv", numerics="reassociates", improves=("bytes", "nodes"))
def replace_space_to_depth_conv_with_strided_conv(root: View, op: Tape) -> ir.Value:
    conv, content = WindowedConv.read(root), root.constant("W")
    depth = _read(root.producer("X", "SpaceToDepth", "Reshape", "Concat"))
    data, padded = without_zeros(root, depth.source, len(depth.blocks))
    filter_ = _interleaved(content, depth, conv.groups)
    sides = zip(conv.windows, depth.blocks, padded, (data.shape or ())[2:], strict=True)
    pads = []
    for axis, (window, block, zeros, size) in enumerate(sides):
        if block > 1 and window.dilation > 1 and window.taps > 1:
            raise Refusal("a dilated convolution of the phases")
        wide = window.pads[0] * block + zeros[0], window.pads[1] * block + zeros[1]
        if block > 1:
            filter_, wide = _trimmed(filter_, 2 + axis, window.stride * block, wide, size)
        pads.append(wide)
    return op.Conv(
        data,
        op.constant(filter_, like=conv.filter, name="weight"),
        conv.bias,
        group=conv.groups,
        strides=[window.stride * block for window, block in zip(conv.windows, depth.blocks, strict=True)],
        dilations=[
            1 if block > 1 else window.dilation for window, block in zip(conv.windows, depth.blocks, strict=True)
        ],
        pads=both_sides(pads),
    )


def _interleaved(content: np.ndarray, depth: Depth, groups: int) -> np.ndarray:
    """The filter [Cout, C/groups, b·K...] over the source."""
    outer, inner, *taps = content.shape
    each = (int(depth.channels.max()) + 1) // groups
    if not each:
        raise Refusal("a channel is shared by several groups")
    shape = [outer, each, *(block * tap for block, tap in zip(depth.blocks, taps, strict=True))]
    filter_ = np.zeros(shape, np.float64)
    for row, column in product(range(outer), range(inner)):
        group = row // (outer // groups)
        channel = depth.channels[group * inner + column]
        require(channel // each == group, "a group reads the phases of another")
        places = zip(depth.phases[group * inner + column], depth.blocks, strict=True)
        filter_[(row, channel % each, *(slice(phase, None, block) for phase, block in places))] += content[row, column]
    return filter_


def _trimmed(
    filter_: np.ndarray, axis: int, stride: int, pads: tuple[int, int], size: object
) -> tuple[np.ndarray, tuple[int, int]]:
    """Without the zero taps at both ends of an axis, as far as they stand on padding; and the pads that are left.

    Those at the end may also stand where no window would begin: of a known size, the number of outputs says so.
    """
    taps = filter_.shape[axis]
    used = np.flatnonzero(filter_.any(axis=tuple(other for other in range(filter_.ndim) if other != axis)))
    front, behind = (int(used[0]), taps - 1 - int(used[-1])) if used.size else (0, taps - 1)
    begin, end = min(front, pads[0]), min(behind, pads[1])
    left = pads[0] - begin, pads[1] - end
    if isinstance(size, int):
        outputs = Axis.conv(size, taps, stride, 1, pads).output
        tight = Axis.conv(size, taps - begin - behind, stride, 1, (left[0], max(0, pads[1] - behind)))
        end = behind if tight.output == outputs else end
        last = Axis(size, outputs, taps - begin - end, 1, stride, left[0])
        left = left[0], max(0, last.pads[1])
    return filter_.take(range(begin, taps - end), axis), left


def _read(view: View) -> Depth:
    """Raises Refusal when the node makes no space-to-depth."""
    if view.op_type == "SpaceToDepth":
        source, block = view.required("input"), view.attr("blocksize")
        places = np.asarray(list(product(range(block), range(block), range(static_channels(source)))))
        return Depth(source, (block, block), places[:, 2], places[:, :2])
    return _of_slices(view) if view.op_type == "Concat" else _of_reshape(view)


def _of_reshape(last: View) -> Depth:
    found = Rearrangement.read(last)
    low = [axis[0].size if axis else 1 for axis in found.axes[2:]]
    blocks = [size // length for size, length in zip(found.sizes[2:], low, strict=True)]
    expected = [Part(2 + axis, length, block) for axis, (length, block) in enumerate(zip(low, blocks, strict=True))]
    if [found.axes[0], *found.axes[2:]] != [simplest([part]) for part in (Part(0, found.sizes[0]), *expected)]:
        raise Refusal("it is no space-to-depth")
    places = np.zeros((1, len(found.sizes)), np.int64)  # of every channel: where it begins in the source
    for part in found.axes[1]:
        steps = np.zeros((part.size, len(found.sizes)), np.int64)
        steps[:, part.axis] = np.arange(part.size) * part.stride
        places = (places[:, None] + steps[None]).reshape(-1, len(found.sizes))
    return Depth(found.source, tuple(blocks), places[:, 1], places[:, 2:])


def _of_slices(concat: View) -> Depth:
    pieces = [_sliced(concat, value) for value in concat.inputs() if value is not None]
    source, cuts = pieces[0]
    rank = len(source.shape or ())
    channels = source.shape[1] if source.shape is not None and rank > 2 else None
    if concat.attr("axis") not in (1, 1 - rank) or not isinstance(channels, int):
        raise Refusal("the channels are not put side by side, or their number is not known")
    blocks = tuple(cuts[axis].step if axis in cuts else 1 for axis in range(2, rank))
    phases = []
    for value, cuts in pieces:
        steps = tuple(cuts[axis].step if axis in cuts else 1 for axis in range(2, rank))
        phase = tuple(cuts[axis].start if axis in cuts else 0 for axis in range(2, rank))
        to_the_end = all(axis > 1 and _is_a_phase(cut) for axis, cut in cuts.items())
        if value is not source or steps != blocks or not to_the_end:
            raise Refusal("the slices are not phases of one image")
        phases.append(phase)
    if set(phases) != set(product(*map(range, blocks))):
        raise Refusal("a phase is missing: the size need not be a multiple of the block")
    return Depth(source, blocks, np.tile(np.arange(channels), len(phases)), np.repeat(phases, channels, axis=0))


def _is_a_phase(cut: Cut) -> bool:
    return 0 <= cut.start < cut.step and Cut(0, cut.stop).whole


def _sliced(concat: View, value: ir.Value) -> tuple[ir.Value, dict[int, Cut]]:
    """What a chain of slices reads and takes of it, each axis once."""
    cuts: dict[int, Cut] = {}
    while (node := value.producer()) is not None and node.op_type == "Slice":
        view = concat.made_by(value, "Slice")
        more = read_slice(view)
        if cuts.keys() & more.keys():
            raise Refusal("an axis is cut twice")
        cuts |= more
        value = view.required("data")
    return value, cuts


def _over(
    g: CaseBuilder,
    x: tuple[int | str, ...],
    blocks: Sequence[int],
    outputs: int = 4,
    *,
    form: str = "DCR",
    taps: Sequence[int] = (2, 2),
    zeros: Sequence[int] = (),
    pad: Sequence[int] = (),
    **attributes: Any,
) -> ir.Value:
    """Pad, space-to-depth in that form, a convolution whose filter is zero in those phases."""
    data = g.input(*x)
    if pad:
        data = g.Pad(data, g.constant(list(pad)))
    channels = int(x[1])
    if form == "slices":
        phases = product(*map(range, blocks))
        parts = [_phase(g, data, phase, blocks) for phase in phases]
        data = g.Concat(*parts, axis=1)
    else:
        data = space_to_depth(g, data, channels, blocks, "CRD" if form == "CRD" else "DCR")
    inner = channels * int(np.prod(blocks)) // int(attributes.get("group", 1))
    content = np.array(g.random.standard_normal((outputs, inner, *taps)), g.dtype.numpy())
    content[:, list(zeros)] = 0
    return g.Conv(data, g.constant(content), g.weight(outputs), **attributes)


def _phase(g: CaseBuilder, data: ir.Value, phase: Sequence[int], blocks: Sequence[int]) -> ir.Value:
    """One axis after the other, as PyTorch exports x[..., ::2, 1::2]."""
    for axis, (start, block) in enumerate(zip(phase, blocks, strict=True)):
        data = sliced(g, data, {2 + axis: Cut(start, TO_THE_END, block)})
    return data


@replace_space_to_depth_conv_with_strided_conv.cases
def cases() -> Iterator[Case]:
    image = (1, 2, 6, 4)
    over = partial(_over, blocks=(2, 2))
    yield Case("SpaceToDepth", partial(over, x=image, pads=(1, 0, 1, 1)))
    yield Case("Focus", partial(over, x=("N", 2, 4, 6), form="slices", outputs=2))
    yield Case("slices, dynamic sizes", partial(_over, x=("N", 2, "H", "W"), blocks=(1, 2), form="slices", taps=(1, 1)))
    yield Case("grouped", partial(_over, x=(2, 4, 6, 4), blocks=(3, 2), form="CRD", group=2))
    end = partial(_over, x=(1, 1, 5), blocks=(2,), taps=(2,), zeros=(0,))
    yield Case("zeros in front, padded", partial(end, pad=(0, 0, 0, 0, 0, 1), pads=(1, 0)))
    yield Case("zeros at the end", partial(_over, x=(1, 1, 6), blocks=(3,), taps=(1,), zeros=(2,)))
    yield Case("one axis", partial(_over, x=(1, 2, 4, 6), blocks=(1, 2), strides=(1, 2), dilations=(2, 1)))
    yield Case("3-D", partial(_over, x=(1, 1, 2, 4, 3), blocks=(2, 2, 1), taps=(1, 2, 2), form="CRD"))
    for name, build, reason in (
        ("dilated", partial(over, x=(1, 1, 6, 6), dilations=(2, 1)), "a dilated convolution of the phases"),
        ("groups of phases", partial(over, x=image, group=2), "a group reads the phases of another"),
        ("other slices", _other_slices, "a phase is missing: the size need not be a multiple of the block"),
        ("two images", _two_images, "the slices are not phases of one image"),
        ("nothing", _no_phases, "the input of Conv does not come from SpaceToDepth or Reshape or Concat"),
    ):
        yield Case(name, build, refuses=reason)


def _no_phases(g: CaseBuilder) -> ir.Value:
    return g.Conv(g.Relu(g.input(1, 2, 4, 4)), g.weight(2, 2, 1, 1))


def _other_slices(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 1, 5)
    return g.Conv(g.Concat(_phase(g, x, (0,), (2,)), _phase(g, x, (0,), (2,)), axis=1), g.weight(2, 2, 1), strides=(2,))


def _two_images(g: CaseBuilder) -> ir.Value:
    x, y = g.input(1, 1, 4), g.input(1, 1, 4)
    return g.Conv(g.Concat(_phase(g, x, (0,), (2,)), _phase(g, y, (1,), (2,)), axis=1), g.weight(2, 2, 1))


@replace_space_to_depth_conv_with_strided_conv.samples
def samples(random: Random) -> Case:
    rank = random.choice((1, 2, 2, 3))
    block = random.randint(1, 3)
    blocks = [random.choice((block, random.randint(1, 3))) for _ in range(rank)]
    low, taps = ([random.randint(1, 3) for _ in range(rank)] for _ in range(2))
    missing = [random.choice((0, random.randint(0, each - 1))) for each in blocks]
    sizes = [max(1, each * length - less) for each, length, less in zip(blocks, low, missing, strict=True)]
    attributes: dict[str, Any] = {
        "group": random.choice((1, 1, 2)),
        "strides": [random.randint(1, 2) for _ in range(rank)],
        "dilations": [random.choice((1, 1, 1, 2)) for _ in range(rank)],
        "pads": [random.randint(0, 2) for _ in range(rank)] + [tap - 1 for tap in taps],
    }
    channels = random.choice((2, 4)) if attributes["group"] == 2 else random.randint(1, 3)
    dynamic = random.random() < 0.2 and not any(missing)
    ends = [-size % each for size, each in zip(sizes, blocks, strict=True)]
    build = partial(
        _over,
        x=(random.choice((1, 2, "N")), channels, *sizes),
        blocks=blocks,
        form=random.choice(("CRD", "DCR", "slices")),
        taps=taps,
        zeros=random.sample(range(channels), random.randint(0, channels)) if attributes["group"] == 1 else (),
        pad=[0] * (4 + rank) + ends if any(ends) and not dynamic else (),
        **attributes,
    )
    return Case(f"{channels}x{sizes} blocks={blocks} taps={taps} {attributes}", build, seed=random.getrandbits(32))
