"""Split a Gather of channels, whose result a Split divides, into one Gather for each part.

Law    split(gather(x, π, axis 1))ᵢ = gather(x, πᵢ, axis 1)     πᵢ the indices of part i
Why    each element is copied once, not twice, and a part that a dense convolution reads can be folded into that
       (ShuffleNet v2: Ma et al., ECCV 2018, where every unit shuffles and the next one splits).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.channels import read_channel_gather
from graphc_passes.nodes.slicing import parts_of
from graphc_passes.nodes.stated import only_user
from graphc_passes.sampling.operands import gathered


@rewrite("Split", numerics="exact")
def split_channel_gather(split: View, op: Tape) -> tuple[ir.Value, ...]:
    whole = split.required("input")
    data, _, indices = read_channel_gather(split.made_by(whole, "Gather"))
    require(only_user(whole), "the Gather is used elsewhere", conservative="its copies would be made all the same")
    if split.attr("axis") % len(data.shape or ()) != 1:
        raise Refusal("it is not the channels that are split")
    ends = np.cumsum(_sizes(split)).tolist()
    parts = [indices[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    return tuple(op.Gather(data, op.constant(part, name="channels"), axis=1) for part in parts)


def _sizes(split: View) -> list[int]:
    """The channels of each part, as its shape says. Raises Refusal when that is not known."""
    shapes = [part.shape for part in parts_of(split)]
    sizes = [shape[1] for shape in shapes if shape is not None and isinstance(shape[1], int)]
    if len(sizes) < len(shapes):
        raise Refusal("the size of a part is not known")
    return [int(size) for size in sizes if isinstance(size, int)]


def _parts(g: CaseBuilder, gathered: ir.Value, parts: Sequence[int], axis: int = 1) -> tuple[ir.Value, ...]:
    if g.opset < 13:
        made = g.Split(gathered, split=list(parts), axis=axis, outputs=len(parts))
    else:
        made = g.Split(gathered, g.constant(list(parts)), axis=axis, outputs=len(parts))
    return tuple(g.Relu(part) for part in made)


@split_channel_gather.cases
def cases() -> Iterator[Case]:
    yield Case("halves", lambda g: _parts(g, gathered(g, g.input(1, 4, 3), 0, 2, 1, 3), [2, 2]))
    yield Case("unequal parts, any size", lambda g: _parts(g, gathered(g, g.input("N", 3, "H"), 2, 0, -2), [1, 2], -2))
    yield Case("opset 12", lambda g: _parts(g, gathered(g, g.input(1, 4, 3), 0, 2, 1, 3), [3, 1]), opset=12)
    yield Case("used elsewhere", _used_elsewhere, refuses="the Gather is used elsewhere")
    yield Case(
        "parts of space",
        lambda g: _parts(g, gathered(g, g.input(1, 2, 4), 1, 0), [2, 2], 2),
        refuses="it is not the channels that are split",
    )
    yield Case(
        "parts that the caller states",
        lambda g: tuple(
            g.Split(gathered(g, g.input(1, 2, 4), 1, 0), g.input(2, dtype=ir.DataType.INT64), axis=1, outputs=2)
        ),
        refuses="the size of a part is not known",
    )


def _used_elsewhere(g: CaseBuilder) -> tuple[ir.Value, ...]:
    taken = gathered(g, g.input(1, 2, 4), 1, 0)
    return *_parts(g, taken, [1, 1]), g.Neg(taken)


@split_channel_gather.samples
def samples(random: Random) -> Case:
    channels, parts = random.randint(1, 4), [random.randint(1, 3) for _ in range(random.randint(2, 3))]
    indices = [random.randrange(-channels, channels) for _ in range(sum(parts))]
    shape, axis = (random.choice((1, 2, "N")), channels, random.choice((2, "L"))), random.choice((1, -2))

    def build(g: CaseBuilder) -> tuple[ir.Value, ...]:
        return _parts(g, gathered(g, g.input(*shape), *indices), parts, axis)

    name = f"{list(shape)} at {indices} into {parts} axis={axis}"
    return Case(name, build, opset=random.choice((12, 13, 20)), seed=random.getrandbits(32))
