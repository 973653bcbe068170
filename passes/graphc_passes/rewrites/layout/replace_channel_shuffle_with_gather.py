"""Replace the Reshape, Transpose and Reshape of a channel shuffle with one Gather.

Law    reshape(transpose(reshape(x, [N, a, b, ...]), [0, 2, 1, ...]), [N, a·b, ...]) = gather(x, π, axis 1)
       π[j·a + i] = i·b + j; the same for any number of factors of the channels; what moves nothing is dropped
Why    one node, which moves whole planes, and says what it does: a permutation of channels that a convolution before or
       after it can take up (ShuffleNet: Zhang et al., CVPR 2018).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import prod
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.computed_shapes import INFERRED, Element, own_sizes, read_reshape, same_count

INT = ir.DataType.INT64


@rewrite("Reshape", numerics="exact")
def replace_channel_shuffle_with_gather(root: View, op: Tape) -> ir.Value:
    turned = root.producer("data", "Transpose")
    split = turned.producer("data", "Reshape")
    data = split.required("data")
    sizes = own_sizes(data)
    apart = read_reshape(split, sizes, data)
    perm = turned.attr("perm") or tuple(reversed(range(len(apart))))
    if len(perm) != len(apart):
        raise Refusal("the permutation has another number of axes")
    factors = _factors(apart, perm, sizes)
    together = read_reshape(root, [apart[axis] for axis in perm], data)
    if not _are(together, sizes):
        raise Refusal("the result has another shape")
    moved = [axis - 1 for axis in perm[1 : 1 + len(factors)]]
    order = np.arange(prod(factors)).reshape(factors).transpose(moved).reshape(-1)
    if (np.diff(order) == 1).all():
        return data
    return op.Gather(data, op.constant(order, name="channels"), axis=1)


def _factors(apart: Sequence[Element], perm: Sequence[int], sizes: Sequence[Element]) -> list[int]:
    """The factors of the channels: axes 1, 2, ... of `apart`, all that `perm` moves among them."""
    channels = sizes[1] if len(sizes) > 1 else None
    if not isinstance(channels, int):
        raise Refusal("the number of channels is not known")
    last = max((axis for axis, source in enumerate(perm) if axis != source), default=1)
    for end in range(last + 1, len(apart) + 1):
        factors = _filled(apart[1:end], channels)
        if prod(factors) != channels or perm[0] != 0 or apart[0] not in (sizes[0], INFERRED):
            continue
        if INFERRED not in apart[:end] or same_count(apart[end:], sizes[2:]):
            return factors
    raise Refusal("it moves more than channels, or others")


def _filled(factors: Sequence[Element], channels: int) -> list[int]:
    """The factors as numbers, the inferred one too; [0] where one is not known."""
    numbers = [factor for factor in factors if isinstance(factor, int) and (factor > 0 or factor == INFERRED)]
    if len(numbers) < len(factors):
        return [0]
    rest = channels // prod(number for number in numbers if number != INFERRED)
    return [rest if number == INFERRED else number for number in numbers]


def _are(found: Sequence[Element], sizes: Sequence[Element]) -> bool:
    """Whether these are the sizes, one of them perhaps inferred."""
    if len(found) != len(sizes) or found.count(INFERRED) > 1:
        return False
    return all(size in (INFERRED, own) for size, own in zip(found, sizes, strict=True))


def _shuffle(
    g: CaseBuilder, x: ir.Value, apart: Sequence[int], together: Sequence[int], perm: Sequence[int] = (0, 2, 1, 3, 4)
) -> ir.Value:
    split = g.Reshape(x, g.constant(list(apart)))
    return g.Reshape(g.Transpose(split, perm=perm), g.constant(list(together)))


def _from_shape(g: CaseBuilder, x: ir.Value, groups: int, *, flat: bool) -> ir.Value:
    """As a layer writes it that knows no size of space: one axis for all of it, or each size taken from the data."""
    channels = x.shape[1] if x.shape is not None else None
    assert isinstance(channels, int)
    if flat:
        split = g.Reshape(x, g.constant([0, groups, channels // groups, -1]))
        return g.Reshape(g.Transpose(split, perm=(0, 2, 1, 3)), g.Shape(x))
    batch, depth, height, width = (_size(g, x, axis) for axis in range(4))
    each = g.Unsqueeze(g.Div(g.Gather(g.Shape(x), g.constant(1)), g.constant(groups)), g.constant([0]))
    split = g.Reshape(x, g.Concat(batch, g.constant([groups]), each, height, width, axis=0))
    turned = g.Transpose(split, perm=(0, 2, 1, 3, 4))
    return g.Reshape(turned, g.Concat(batch, depth, g.Slice(g.Shape(x), g.constant([2]), g.constant([4])), axis=0))


def _size(g: CaseBuilder, x: ir.Value, axis: int) -> ir.Value:
    return g.Unsqueeze(g.Gather(g.Shape(x), g.constant(axis)), g.constant([0]))


@replace_channel_shuffle_with_gather.cases
def cases() -> Iterator[Case]:
    yield Case("numbers", lambda g: _shuffle(g, g.input(2, 6, 2, 3), (2, 2, 3, 2, 3), (2, 6, 2, 3)))
    yield Case("numbers, opset 9", lambda g: _shuffle(g, g.input(2, 6, 2, 3), (2, 2, 3, 2, 3), (2, 6, 2, 3)), opset=9)
    yield Case("an inferred batch", lambda g: _shuffle(g, g.input("N", 6, 2, 3), (-1, 2, 3, 2, 3), (-1, 6, 2, 3)))
    yield Case("inferred channels", lambda g: _shuffle(g, g.input("N", 6, 2, 3), (0, 2, -1, 2, 3), (0, -1, 2, 3)))
    yield Case("any size, space as one axis", lambda g: _from_shape(g, g.input("N", 6, "H", "W"), 2, flat=True))
    yield Case("any size, each from Shape", lambda g: _from_shape(g, g.input("N", 6, "H", "W"), 3, flat=False))
    yield Case(
        "three factors, 1-D",
        lambda g: _shuffle(g, g.input(1, 12, 2), (1, 2, 3, 2, 2), (1, 12, 2), perm=(0, 3, 1, 2, 4)),
    )
    yield Case(
        "one group",
        lambda g: g.Relu(_shuffle(g, g.Relu(g.input(2, 3, 2, 2)), (2, 1, 3, 2, 2), (0, 0, 2, 2))),
    )
    yield Case(
        "channels into space",
        lambda g: _shuffle(g, g.input(1, 4, 2, 2), (1, 2, 2, 2, 2), (1, 4, 2, 2), perm=(0, 1, 3, 2, 4)),
        refuses="it moves more than channels, or others",
    )
    yield Case(
        "a batch that is split too",
        lambda g: _shuffle(g, g.input(2, 4, 2, 2), (4, 2, 2, 1, 2), (2, 4, 2, 2)),
        refuses="it moves more than channels, or others",
    )
    yield Case(
        "a batch that may be split too",
        lambda g: _shuffle(g, g.input("N", 4, "H", 2), (-1, 2, 2, 1, 2), (-1, 4, 1, 2)),
        refuses="it moves more than channels, or others",
    )
    yield Case(
        "flat in the end",
        lambda g: _shuffle(g, g.input(2, 4, 2, 2), (2, 2, 2, 2, 2), (2, 16)),
        refuses="the result has another shape",
    )
    yield Case(
        "channels of any number",
        lambda g: _shuffle(g, g.input(2, "C", 2, 2), (2, 2, -1, 2, 2), (2, -1, 2, 2)),
        refuses="the number of channels is not known",
    )
    yield Case(
        "the sizes of something else",
        lambda g: g.Reshape(
            g.Transpose(g.Reshape(g.input(2, 4, "L"), g.constant([0, 2, 2, -1])), perm=(0, 2, 1, 3)),
            g.input(3, dtype=INT),
        ),
        refuses="a shape is not known",
    )


@replace_channel_shuffle_with_gather.samples
def samples(random: Random) -> Case:
    rank = random.randint(0, 3)
    factors = [random.randint(1, 3) for _ in range(random.randint(2, 3))]
    spatial = [random.choice((1, 2, 3)) for _ in range(rank)]
    batch, channels = random.choice((1, 2, 3)), prod(factors)
    perm = list(range(1, 1 + len(factors)))
    random.shuffle(perm)
    apart, together = [batch, *factors, *spatial], [batch, channels, *spatial]
    order = [0, *perm, *range(1 + len(factors), len(apart))]
    for target in (apart, together):
        if random.random() < 0.5:
            target[random.randrange(len(target))] = INFERRED
        elif random.random() < 0.7:
            target[0] = 0
    if random.random() < 0.2 and together[0] != 0:
        random.shuffle(order)
    shape: list[int | str] = [batch, channels, *spatial]
    if INFERRED not in (apart[0], together[0]) and apart[0] == together[0] == 0 and random.random() < 0.5:
        shape[0] = "N"
    name = f"{shape} {apart} {order} {together}"
    build = partial(_sample, shape=shape, apart=apart, together=together, perm=order)
    return Case(name, build, opset=random.choice((9, 13, 20)), seed=random.getrandbits(32))


def _sample(g: CaseBuilder, *, shape: Sequence[int | str], **targets: Sequence[int]) -> ir.Value:
    return g.Relu(_shuffle(g, g.Relu(g.input(*shape)), **targets))


@replace_channel_shuffle_with_gather.samples
def dynamic_samples(random: Random) -> Case:
    groups, each = random.randint(1, 3), random.randint(1, 3)
    shape = [random.choice((1, 2, "N")), groups * each, random.choice((2, 3, "H")), random.choice((1, 2, "W"))]
    stated, flat = random.choice((groups, groups, each)), random.random() < 0.5

    def build(g: CaseBuilder) -> ir.Value:
        return g.Relu(_from_shape(g, g.Relu(g.input(*shape)), stated, flat=flat))

    return Case(f"{shape} {stated} flat={flat}", build, seed=random.getrandbits(32))
