"""Reading a Resize or Upsample, at every opset, as linear maps: which inputs make up each output of an axis.

Interpolation is separable. Along one axis, output o lies at the place x(o) of the input (the coordinate transform), and
is Σ φ(i − x)·input[i] with a kernel φ: a step (nearest), a tent (linear) or a cubic one, stretched by the scale where
antialiasing is asked for. Inputs beyond the ends are those at the ends. Source: ONNX operator Resize. It computes with
the scales as stored, in 32 bits; where the rounding of a place decides which neighbour is the nearest, it is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, prod

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from graphc import Axis, Refusal, View
from graphc_passes.nodes.stated import ANY_SIZE, shape_of

FLOATS = (ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16)
REPEATING = ("half_pixel", "pytorch_half_pixel", "asymmetric", "tf_half_pixel_for_nn", "legacy")
BY_LENGTH = ("align_corners", "tf_crop_and_resize")  # whose places follow from the lengths, not from the scale
ROUNDING = 1e-5  # relative, of a place in 32 bits
LARGEST_PERIOD = 64
LARGEST_CONSTANT = 1 << 22  # elements

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Rule:
    """How a Resize interpolates, on every axis alike."""

    mode: str
    transform: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic_a: float = -0.75
    antialias: bool = False
    exclude_outside: bool = False
    extrapolation: float = 0.0

    def taps(self, x: Floats, scale: float) -> tuple[npt.NDArray[np.int64], Floats]:
        """(first, weights): the output at x[n] is Σ_j weights[n, j]·input[first[n] + j]."""
        floor = np.floor(x)
        if self.mode == "nearest":
            return (floor + self._steps_up(x - floor)).astype(np.int64), np.ones((len(x), 1))
        stretch = min(scale, 1.0) if self.antialias else 1.0
        reach = ceil((2 if self.mode == "cubic" else 1) / stretch)
        first = floor.astype(np.int64) - reach + 1
        distance = stretch * (first[:, None] + np.arange(2 * reach) - x[:, None])
        weights = self._kernel(np.abs(distance))
        return first, weights / weights.sum(axis=1, keepdims=True) if self.antialias else weights

    def _steps_up(self, rest: Floats) -> npt.NDArray[np.bool_]:
        """Whether the neighbour above is the nearest, for places `rest` above the one below."""
        match self.nearest:
            case "round_prefer_floor":
                return rest > 0.5
            case "round_prefer_ceil":
                return rest >= 0.5
            case "ceil":
                return rest > 0
        return rest < 0

    def _kernel(self, d: Floats) -> Floats:
        """φ at distances d ≥ 0. Cubic: R. Keys, IEEE Trans. ASSP 29 (1981), equation 4."""
        if self.mode == "linear":
            return np.maximum(1 - d, 0)
        a = self.cubic_a
        inner, outer = ((a + 2) * d - (a + 3)) * d * d + 1, ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, inner, np.where(d < 2, outer, 0.0))


@dataclass(frozen=True)
class ResizedAxis:
    """An axis that a Resize changes: from `input` to `output` elements (None: not known) at `scale`.

    `length` is scale·input, which need not be whole; `region` the part of the input that is resized, from 0 to 1.
    """

    index: int
    scale: float
    input: int | None
    output: int | None
    length: float
    region: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Periodic:
    """An axis whose outputs repeat: output up·n + r is Σ_j table[r, j]·input[down·n + first + j].

    Inputs beyond the ends are those at the ends.
    """

    up: int
    down: int
    first: int
    table: Floats

    @property
    def width(self) -> int:
        """The number of taps of each output."""
        return self.table.shape[1]

    @property
    def replicates(self) -> bool:
        """Whether it repeats each input `up` times."""
        return self.down == 1 and self.first == 0 and self.table.shape[1] == 1 and bool((self.table == 1).all())

    def low(self, axis: ResizedAxis) -> Axis:
        """The axis of the convolution that makes `up` outputs for every `down` inputs, over an input of that size."""
        length = ANY_SIZE if axis.input is None else axis.input
        output = length * self.up // self.down if axis.output is None else axis.output
        return Axis(length, -(-output // self.up), self.width, down=self.down, pad=-self.first)


IDENTITY = Periodic(1, 1, 0, np.ones((1, 1)))


@dataclass(frozen=True)
class Resampling:
    """A Resize or Upsample: its rule and the axes whose elements it moves."""

    view: View
    data: ir.Value
    rank: int
    rule: Rule
    axes: tuple[ResizedAxis, ...]

    @classmethod
    def read(cls, view: View) -> Resampling:
        """Read all of the node. Raises Refusal when the scales or sizes are not known, or no axis is resized."""
        data = view.required("X")
        lengths = [size if isinstance(size, int) else None for size in shape_of(data)]
        if 0 in lengths:
            raise Refusal("the data is empty")
        rule = _rule(view)
        axes = tuple(_resized(view, rule, lengths))
        if not axes:
            raise Refusal("no axis is resized")
        if rule.transform == "legacy" and not all(axis.scale % 1 == 0 and rule.mode == "nearest" for axis in axes):
            raise Refusal("before opset 11 the standard does not say where the samples lie")
        return cls(view, data, len(lengths), rule, axes)

    @property
    def indices(self) -> tuple[int, ...]:
        """Which axes are resized."""
        return tuple(axis.index for axis in self.axes)

    @property
    def kinds(self) -> frozenset[str]:
        """Words for it: nearest, linear, cubic, with -3d, -5d, -channels; antialias; its coordinate transform."""
        rule, mode = self.rule, self.rule.mode
        words = {mode, rule.transform, f"{mode}-{self.rank}d"}
        if rule.antialias:
            words.add("antialias")
        if min(self.indices) < 2:
            words.add(f"{mode}-channels")
        return frozenset(words)

    @property
    def taps(self) -> int:
        """How many inputs each output weighs; 0 where it is a copy."""
        radius = {"nearest": 0, "linear": 1, "cubic": 2}[self.rule.mode]
        if not self.rule.antialias:
            return int((2 * radius) ** len(self.axes)) if radius else 0
        return prod(2 * ceil(radius / min(axis.scale, 1)) for axis in self.axes)

    @property
    def channels(self) -> int:
        """The number of channels. Raises Refusal when it is not known."""
        assert self.data.shape is not None
        channels = self.data.shape[1]
        if not isinstance(channels, int) or not channels:
            raise Refusal("the number of channels is not known")
        return channels

    @property
    def extrapolates(self) -> bool:
        """Whether outputs may lie outside of the input and be given a value of their own."""
        return self.rule.transform == "tf_crop_and_resize"

    def matrix(self, axis: ResizedAxis) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """(R [output, input], which outputs are extrapolated: their rows are zero), float64.

        Raises Refusal as `rows`, or when it would be large.
        """
        index, weights, outside = self.rows(axis)
        assert axis.input is not None
        if len(index) * axis.input > LARGEST_CONSTANT:
            raise Refusal("the matrix would be large")
        matrix = np.zeros((len(index), axis.input))
        np.add.at(matrix, (np.arange(len(index))[:, None], index), weights)
        matrix[outside] = 0
        return matrix, outside

    def rows(self, axis: ResizedAxis) -> tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.bool_]]:
        """(index [output, taps], weights [output, taps], which outputs are extrapolated) of an axis.

        Raises Refusal when a size is not known, or where the rounding of a place decides.
        """
        if axis.input is None or axis.output is None:
            raise Refusal("the size of a resized axis is not known")
        x = self._places(axis, np.float64)
        self._refuse_disputed(axis, x)
        first, weights = self.rule.taps(x, axis.scale)
        index = first[:, None] + np.arange(weights.shape[1])
        if self.rule.exclude_outside:
            weights = np.where((index < 0) | (index >= axis.input), 0.0, weights)
            total = weights.sum(axis=1, keepdims=True)
            weights = weights / np.where(total == 0, 1.0, total)
        return np.clip(index, 0, axis.input - 1), weights, self._outside(axis, x)

    def periodic(self, index: int) -> Periodic:
        """Axis `index` as a period that repeats. Raises Refusal when it has none."""
        axis = next((axis for axis in self.axes if axis.index == index), None)
        if axis is None:
            return IDENTITY
        known = axis.input is not None and axis.output is not None
        ratio = Fraction(axis.output, axis.input) if known and axis.length == axis.output else Fraction(axis.scale)
        up, down = ratio.numerator, ratio.denominator
        if self.rule.transform not in REPEATING or self.rule.exclude_outside or max(up, down) > LARGEST_PERIOD:
            raise Refusal("the weights do not repeat along the axis")
        if not known and up > 1 and down > 1:
            raise Refusal("how many outputs the last period has is not known")
        if not known and down > 1 and self.rule.transform == "pytorch_half_pixel":
            raise Refusal("where a single output of pytorch_half_pixel lies is told differently")
        if axis.output == 1 and self.rule.transform == "pytorch_half_pixel":  # it lies where others would not
            raise Refusal("the weights do not repeat along the axis")
        if known:
            self._refuse_disputed(axis, self._places(axis, np.float64))
        return self._period(up, down)

    def spatial_periods(self) -> list[Periodic]:
        """The period of each spatial axis. Raises Refusal when one has none, or another axis is resized."""
        if min(self.indices) < 2:
            raise Refusal("the batch or the channels are resized")
        return [self.periodic(index) for index in range(2, self.rank)]

    def pads(self, periods: Sequence[Periodic]) -> list[tuple[int, int]]:
        """(begin, end) of each spatial axis: how far its taps reach beyond the ends; negative: what no tap reads."""
        axes = {axis.index: axis for axis in self.axes}
        return [
            period.low(axes[index]).pads if index in axes else (0, 0) for index, period in enumerate(periods, start=2)
        ]

    def excess(self, periods: Sequence[Periodic]) -> list[int]:
        """How many outputs of the last period of each spatial axis are too many."""
        axes = {axis.index: axis for axis in self.axes}
        outputs = [axes[index].output if index in axes else None for index in range(2, self.rank)]
        return [-output % period.up if output else 0 for output, period in zip(outputs, periods, strict=True)]

    def _period(self, up: int, down: int) -> Periodic:
        """The taps of the first `up` outputs, without those that weigh nothing at either end."""
        shift = Fraction(0) if self.rule.transform in ("asymmetric", "legacy") else Fraction(1, 2)
        back = shift if self.rule.transform != "tf_half_pixel_for_nn" else Fraction(0)
        x = np.array([float((r + shift) * down / up - back) for r in range(up)])
        first, weights = self.rule.taps(x, up / down)
        least = int(first.min())
        table = np.zeros((up, int(first.max()) - least + weights.shape[1]))
        np.put_along_axis(table, first[:, None] - least + np.arange(weights.shape[1]), weights, axis=1)
        used = np.flatnonzero(table.any(axis=0))
        return Periodic(up, down, least + int(used[0]), table[:, used[0] : used[-1] + 1])

    def _refuse_disputed(self, axis: ResizedAxis, x: Floats) -> None:
        """Raise Refusal where the standard, its reference and runtimes place an output differently."""
        assert axis.input is not None
        rule, rounded = self.rule, self._places(axis, np.float32).astype(np.float64)
        given = axis.length if rule.transform in BY_LENGTH else axis.scale
        short = all(bound * 1024 % 1 == 0 for bound in axis.region)
        exact = (rounded == x) & (short and float(np.float32(given)) == given)
        margin = ROUNDING * np.maximum(1.0, np.abs(x))
        edge = x if rule.nearest in ("floor", "ceil") else x + 0.5
        if rule.mode == "nearest" and (~exact & (np.abs(edge - np.round(edge)) < margin)).any():
            raise Refusal("which neighbour is nearest depends on how places are rounded")
        ends = np.minimum(np.abs(x), np.abs(x - (axis.input - 1)))
        if self.extrapolates and (~exact & (ends < margin)).any():
            raise Refusal("which outputs lie outside depends on how places are rounded")
        alone = rule.transform == "pytorch_half_pixel" and axis.output == 1
        if alone and (rule.mode == "cubic" or rule.antialias or axis.length != 1):
            raise Refusal("where a single output of pytorch_half_pixel lies is told differently")

    def _outside(self, axis: ResizedAxis, x: Floats) -> npt.NDArray[np.bool_]:
        assert axis.input is not None
        return (x < 0) | (x > axis.input - 1) if self.extrapolates else np.zeros(len(x), bool)

    def _places(self, axis: ResizedAxis, number: type[np.floating]) -> Floats:
        """x(o) of every output, in that arithmetic."""
        assert axis.input is not None
        assert axis.output is not None
        o: Floats = np.arange(axis.output).astype(number)
        scale, length, last, half = number(axis.scale), number(axis.length), number(axis.input - 1), number(0.5)
        match self.rule.transform:
            case "asymmetric" | "legacy":
                return o / scale
            case "align_corners":
                return np.zeros_like(o) if length == 1 else o * last / (length - number(1))
            case "tf_half_pixel_for_nn":
                return (o + half) / scale
            case "tf_crop_and_resize":
                start, span = number(axis.region[0]), number(axis.region[1]) - number(axis.region[0])
                centred = np.full_like(o, span * last / number(2))
                return start * last + (centred if length == 1 else o * span * last / (length - number(1)))
            case "half_pixel_symmetric":
                centre = number(axis.input) / number(2)
                return centre * (number(1) - number(axis.output) / length) + (o + half) / scale - half
            case "pytorch_half_pixel" if axis.output == 1:
                return np.zeros_like(o)
        return (o + half) / scale - half


# ---------------------------------------------------------------- reading the node


def _rule(view: View) -> Rule:
    mode = view.attr("mode").removeprefix("bi")
    if view.opset < 11:
        return Rule(mode, "legacy", "floor")
    return Rule(
        mode,
        view.attr("coordinate_transformation_mode"),
        view.attr("nearest_mode"),
        view.attr("cubic_coeff_a"),
        bool(view.attr("antialias")),
        bool(view.attr("exclude_outside")),
        view.attr("extrapolation_value"),
    )


def _resized(view: View, rule: Rule, lengths: list[int | None]) -> Iterator[ResizedAxis]:
    """The axes that the node resizes. Raises Refusal when they are not known."""
    given = view.attr("axes") if view.opset >= 18 else None
    axes = [axis % len(lengths) for axis in (range(len(lengths)) if given is None else given)]
    if len(set(axes)) != len(axes):
        raise Refusal("an axis is resized twice")
    regions = _regions(view, rule, len(axes))
    scales = _scales(view)
    if scales is not None:
        targets = [_scaled(scale, lengths[axis]) for scale, axis in zip(scales, axes, strict=True)]
    else:
        targets = _sized(view, [lengths[axis] for axis in axes])
    for index, (scale, output), region in zip(axes, targets, regions, strict=True):
        input_ = lengths[index]
        if scale == 1 and output == input_ and region == (0.0, 1.0):
            continue
        if not 0 < scale < LARGEST_CONSTANT or (output is not None and output < 1):
            raise Refusal("nothing comes out")
        if scales is not None and rule.transform == "tf_crop_and_resize":
            raise Refusal("how many outputs a region has at a scale is told differently")
        exact = scales is None and view.attr("keep_aspect_ratio_policy") in (None, "stretch")
        length = float(output or 0) if exact else scale * (input_ or 0)
        yield ResizedAxis(index, scale, input_, output, length, region)


def _regions(view: View, rule: Rule, count: int) -> list[tuple[float, float]]:
    whole = [(0.0, 1.0)] * count
    if view.opset < 11:
        return whole
    roi = view.input("roi")
    if rule.transform != "tf_crop_and_resize" or roi is None:
        return whole
    content = view.constant("roi").astype(np.float64)
    return [(float(start), float(end)) for start, end in content.reshape(2, -1).T] if content.size else whole


def _scales(view: View) -> Floats | None:
    """The scales as stored, None where the node states sizes."""
    if view.op_type == "Upsample" and view.opset < 9:
        return np.asarray(view.attr("scales"), np.float64)
    content = view.optional_constant("scales")
    return None if content is None or not content.size else content.astype(np.float64)


def _scaled(scale: float, input_: int | None) -> tuple[float, int | None]:
    """(scale, output). Raises Refusal where its rounding to 32 bits or 64 decides how many outputs there are."""
    if input_ is None or not np.isfinite(scale):
        return float(scale), None
    output = int(scale * input_)
    if int(np.float32(scale) * np.float32(input_)) != output:
        raise Refusal("how many outputs there are depends on how the scale is rounded")
    return float(scale), output


def _sized(view: View, inputs: list[int | None]) -> list[tuple[float, int | None]]:
    """(scale, output) of each axis from the sizes."""
    sizes = [int(size) for size in view.constant("sizes")]
    policy = view.attr("keep_aspect_ratio_policy") or "stretch"
    known = [input_ for input_ in inputs if input_]
    if len(known) != len(inputs):
        raise Refusal("the size of a resized axis is not known")
    scales = [size / input_ for size, input_ in zip(sizes, known, strict=True)]
    if policy == "stretch":
        return list(zip(scales, sizes, strict=True))
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [(scale, int(scale * input_ + 0.5)) for input_ in known]
