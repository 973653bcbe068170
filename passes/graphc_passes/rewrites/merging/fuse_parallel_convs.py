"""Fuse convolutions of one value whose results are added into one convolution.

Law    Σ conv(x, w_i, b_i) = conv(x, Σ w_i, Σ b_i)      each w_i laid, centred by its pads, on the support of all
       x itself is the convolution with δ, an inference-mode BatchNormalization that with its scale on the diagonal, an
       AveragePool whose padding counts that with 1/k^n; a branch of several such is their composition. Groups are what
       all have in common. The rest of a longer sum stays.
Why    Branches are for training: RepVGG (Ding et al., CVPR 2021), ACNet (Ding et al., ICCV 2019) and the Diverse Branch
       Block (Ding et al., CVPR 2021) are one convolution, and so is a residual without an activation inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.filters import survives
from graphc_passes.nodes.stencils import LINEAR, Stencil, total
from graphc_passes.sampling.convolutions import DIMS

ADDING = ("Add", "Sub", "Sum")
MOST_TERMS = 32  # of a sum that is written as nodes of two operands


@rewrite(*ADDING, numerics="reassociates", improves=("nodes",))
def fuse_parallel_convs(root: View, op: Tape) -> ir.Value:
    terms, source = _terms(root)
    merged = total(_branches(root, [term for term in terms if source in term.chain], source))
    require(
        merged.own_work <= merged.work,
        "one convolution would do more multiply-adds",
        conservative="it would be slower",
    )
    require(survives(merged.filter, merged.bias, source), "the merged weights would overflow or underflow")
    made = merged.made(op, source, source)
    for term in terms:
        if source not in term.chain:
            made = op.Add(made, term.value) if term.sign > 0 else op.Sub(made, term.value)
    return made


def _branches(root: View, terms: Sequence[Term], source: ir.Value) -> list[Stencil]:
    """What each term does with the source, its sign included."""
    found = [_branch(root, term.value, source) for term in terms]
    channels = next(branch.in_channels for branch in found if branch is not None)
    one = partial(Stencil.per_channel, source, np.ones(channels), np.zeros(channels))
    return [(branch or one()).times(term.sign) for branch, term in zip(found, terms, strict=True)]


def _branch(root: View, value: ir.Value, source: ir.Value) -> Stencil | None:
    """What makes `value` of `source`; None when they are one."""
    if value is source:
        return None
    view = root.made_by(value, *LINEAR)
    stencil = Stencil.read(view)
    while view.required("X") is not source:
        view = view.producer("X", *LINEAR)
        first = Stencil.read(view)
        require(first.vanishes_around(stencil), "a branch pads with zeros where what it pads would not be zeros there")
        require(
            not first.bias.any() or not stencil.meets_padding, "a branch pads with zeros where what it pads has a bias"
        )
        stencil = first.read_by(stencil)
    return stencil


# ---------------------------------------------------------------- which operands


@dataclass(frozen=True)
class Term:
    """An operand of the whole sum, with its sign, and the values of which it may be a convolution, nearest first."""

    value: ir.Value
    sign: int
    chain: tuple[ir.Value, ...]


def _terms(root: View) -> tuple[list[Term], ir.Value]:
    """The operands, and the value of which some are convolutions. Where there is none, sums among them are opened.

    Raises Refusal when there is no such value.
    """
    terms = _operands(root, 1)
    while (source := _source(terms)) is None:
        sums = (term for term in terms if _is_own_sum(root, term.value))
        opened = next(sums, None) if len(terms) < MOST_TERMS else None
        if opened is None:
            raise Refusal("no two operands are convolutions of one value")
        at = terms.index(opened)
        terms[at : at + 1] = _operands(root.made_by(opened.value, *ADDING), opened.sign)
    return terms, source


def _operands(view: View, sign: int) -> list[Term]:
    signs = (sign, -sign) if view.op_type == "Sub" else (sign,) * len(view.node.inputs)
    values = [value for value in view.inputs() if value is not None]
    return [Term(value, each, _chain(view, value)) for value, each in zip(values, signs, strict=True)]


def _chain(view: View, value: ir.Value) -> tuple[ir.Value, ...]:
    """The value, and what it is made of by linear nodes of this graph alone."""
    chain = [value]
    while (node := chain[-1].producer()) is not None and _is_here(view, node, LINEAR) and node.inputs[0] is not None:
        chain.append(node.inputs[0])
    return tuple(chain)


def _source(terms: Sequence[Term]) -> ir.Value | None:
    """The value that most operands are made of, the nearest of them; not where all of those are the value itself."""
    members: dict[ir.Value, list[int]] = {}
    for term in terms:
        for depth, value in enumerate(term.chain):
            members.setdefault(value, []).append(depth)
    shared = {value: depths for value, depths in members.items() if len(depths) > 1 and any(depths)}
    return max(shared, key=lambda value: (len(shared[value]), -sum(shared[value])), default=None)


def _is_own_sum(root: View, value: ir.Value) -> bool:
    node = value.producer()
    if node is None or value.is_graph_output() or len(value.uses()) > 1:
        return False
    return _is_here(root, node, ADDING)


def _is_here(view: View, node: ir.Node, op_types: Sequence[str]) -> bool:
    return node.op_type in op_types and not node.domain and node.graph is view.node.graph


# ---------------------------------------------------------------- cases

PADDED: dict[str, Any] = {"pads": (1, 1, 1, 1)}
FLAT: dict[str, Any] = {"pads": (0, 1, 0, 1)}
UPRIGHT: dict[str, Any] = {"pads": (1, 0, 1, 0)}
COUNTED: dict[str, Any] = {"kernel_shape": (3, 3), "count_include_pad": 1}


def _bn(g: CaseBuilder, x: ir.Value, channels: int, **attributes: object) -> ir.Value:
    scale, shift, mean = g.weight(channels), g.weight(channels), g.weight(channels)
    made = g.BatchNormalization(x, scale, shift, mean, g.weight(channels, low=0.5), **attributes)
    return made[0] if isinstance(made, tuple) else made


def _conv(g: CaseBuilder, x: ir.Value, *shape: int, bias: bool = False, **attributes: Any) -> ir.Value:
    return g.Conv(x, g.weight(*shape), g.weight(shape[0]) if bias else None, **attributes)


@fuse_parallel_convs.cases
def cases() -> Iterator[Case]:
    yield Case("3×3, 1×1 and a normalised identity", _repvgg)
    yield Case("3×3, 1×1, strided", partial(_strided, size=7))
    yield Case("1×3, 3×1 and 3×3, strided", _asymmetric)
    yield Case("1×1 then 3×3, and 1×1 then an average", _diverse)
    yield Case("a residual, a dynamic size", lambda g: _residual(g, "N", 3, "H", "W"), opset=9)
    yield Case("what a depthwise blur leaves", _sharpened)
    yield Case("in groups, with an identity and an average", _grouped)
    yield Case("dilated, on one support", _dilated)
    yield Case("1-D and causal, the rest of a sum", _causal)
    yield Case("3-D, dynamic, SAME", _volume)
    yield Case("the same convolution twice", _doubled)
    yield Case(
        "a branch that pads what it convolved",
        lambda g: _two_deep(g, {"pads": (0, 0, 0, 0)}, {"pads": (2, 2, 2, 2)}, 3),
        refuses="a branch pads with zeros where what it pads would not be zeros there",
    )
    yield Case(
        "a branch that pads what has a bias",
        lambda g: _two_deep(g, {}, PADDED, 1),
        refuses="a branch pads with zeros where what it pads has a bias",
    )
    yield Case(
        "1×3 and 3×1",
        _crossed,
        refuses="one convolution would do more multiply-adds",
    )
    yield Case("weights that overflow", _overflowing, refuses="the merged weights would overflow or underflow")
    yield Case("the wider branch is read by another", _read_twice, refuses="it would not be cheaper here")
    yield Case(
        "an activation between",
        lambda g: _residual(g, 1, 3, 4, 4, inside=g.Relu),
        refuses="no two operands are convolutions of one value",
    )
    yield Case(
        "one channel added to many",
        lambda g: _added_to(g.input(1, 1, 4, 4), lambda x: _conv(g, x, 3, 1, 3, 3, **PADDED), g),
        refuses="the shapes of the branches differ",
    )
    yield Case(
        "one column added to all",
        lambda g: _added_to(g.input(1, 2, 4, 4), lambda x: _conv(g, x, 2, 2, 1, 4), g),
        refuses="the strides or the shapes of the branches differ",
    )
    yield Case(
        "strides 1 and 2 of a size of 1",
        lambda g: g.Add(_conv(g, x := g.input(1, 2, "H", 1), 2, 2, 1, 1), _conv(g, x, 2, 2, 1, 1, strides=(2, 1))),
        refuses="the strides or the shapes of the branches differ",
    )
    yield Case(
        "an average of what is there",
        lambda g: g.Add(
            g.AveragePool(x := g.input(1, 3, 4, 4), kernel_shape=(3, 3), **PADDED), _conv(g, x, 3, 3, 3, 3, **PADDED)
        ),
        refuses="the windows average different numbers of elements",
    )
    yield Case(
        "an identity normalised by its batch",
        lambda g: g.Add(
            _bn(g, x := g.input(2, 3, 4, 4), 3, training_mode=1, outputs=3), _conv(g, x, 3, 3, 3, 3, **PADDED)
        ),
        refuses="training mode: the statistics depend on the batch",
    )


def _added_to(x: ir.Value, branch: object, g: CaseBuilder) -> ir.Value:
    assert callable(branch)
    return g.Add(x, branch(x))


def _residual(g: CaseBuilder, *shape: int | str, inside: object = None) -> ir.Value:
    def branch(x: ir.Value) -> ir.Value:
        before = inside(x) if callable(inside) else x
        return _conv(g, before, 3, 3, 3, 3, bias=True, **PADDED)

    return _added_to(g.input(*shape), branch, g)


def _repvgg(g: CaseBuilder) -> ir.Value:
    x = g.input(2, 3, 5, 6)
    return g.Relu(
        g.Add(g.Add(_bn(g, _conv(g, x, 3, 3, 3, 3, **PADDED), 3), _conv(g, x, 3, 3, 1, 1, bias=True)), _bn(g, x, 3))
    )


def _strided(g: CaseBuilder, size: int) -> ir.Value:
    x = g.input(1, 2, size, 6)
    return g.Add(_conv(g, x, 3, 2, 3, 3, strides=(2, 2), **PADDED), _conv(g, x, 3, 2, 1, 1, strides=(2, 2), bias=True))


def _asymmetric(g: CaseBuilder) -> ir.Value:
    x, strides = g.input(1, 2, 6, 7), {"strides": (2, 1)}
    flat, upright = _conv(g, x, 3, 2, 1, 3, **FLAT | strides), _conv(g, x, 3, 2, 3, 1, **UPRIGHT | strides)
    return g.Add(_conv(g, x, 3, 2, 3, 3, **PADDED | strides), g.Add(flat, upright))


def _diverse(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 3, 5, 5)
    deep = _conv(g, _bn(g, _conv(g, x, 3, 3, 1, 1, **PADDED), 3), 3, 3, 3, 3)
    pooled = g.AveragePool(_bn(g, _conv(g, x, 3, 3, 1, 1, **PADDED), 3), kernel_shape=(3, 3))
    return g.Sum(_conv(g, x, 3, 3, 3, 3, bias=True, **PADDED), deep, _bn(g, pooled, 3), _conv(g, x, 3, 3, 1, 1))


def _sharpened(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 3, 5, 6)
    return g.Sub(x, _conv(g, x, 3, 1, 3, 3, group=3, **PADDED))


def _grouped(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 4, 5, 6)
    conv = _conv(g, x, 4, 2, 3, 3, group=2, **PADDED)
    return g.Sum(x, conv, g.AveragePool(x, **COUNTED | PADDED), _conv(g, x, 4, 1, 1, 1, group=4))


def _dilated(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 2, 7, 7)
    wide = _conv(g, x, 2, 2, 3, 3, dilations=(2, 2), pads=(2, 2, 2, 2))
    return g.Add(_conv(g, x, 2, 2, 5, 5, pads=(2, 2, 2, 2)), g.Sub(x, wide))


def _causal(g: CaseBuilder) -> ir.Value:
    x, z = g.input(1, 2, 7), g.input(1, 4, 7)
    return g.Sum(_conv(g, x, 4, 2, 3, pads=(2, 0)), z, _conv(g, x, 4, 2, 2, pads=(1, 0), bias=True))


def _volume(g: CaseBuilder) -> ir.Value:
    x = g.input("N", 2, "D", 4, "W")
    return g.Add(_conv(g, x, 2, 2, 3, 3, 3, auto_pad="SAME_LOWER"), _conv(g, x, 2, 2, 1, 3, 1, pads=(0, 1, 0, 0, 1, 0)))


def _doubled(g: CaseBuilder) -> ir.Value:
    conv = _conv(g, g.input(1, 2, 4, 4), 2, 2, 3, 3)
    return g.Add(conv, conv)


def _two_deep(g: CaseBuilder, a: dict[str, Any], b: dict[str, Any], kernel: int) -> ir.Value:
    x = g.input(1, 3, 5, 5)
    inner = _conv(g, x, 3, 3, kernel, kernel, bias=kernel == 1, **a)
    wide = _conv(g, x, 3, 3, 2 + kernel, 2 + kernel, pads=[(1 + kernel) // 2] * 4)
    return g.Add(_conv(g, inner, 3, 3, 3, 3, **b), wide)


def _crossed(g: CaseBuilder) -> ir.Value:
    x = g.input(1, 3, "H", "W")
    return g.Add(_conv(g, x, 3, 3, 1, 3, **FLAT), _conv(g, x, 3, 3, 3, 1, **UPRIGHT))


def _overflowing(g: CaseBuilder) -> ir.Value:
    """Data of zeros stays zero, but infinite weights would make it not a number."""
    x, large = g.input(1, 1, 3, 3), g.constant(np.full((1, 1, 1, 1), 3e38, np.float32))
    zero = g.Sub(x, x)
    return g.Add(g.Conv(zero, large), g.Conv(zero, large))


def _read_twice(g: CaseBuilder) -> tuple[ir.Value, ir.Value]:
    x = g.input(1, 2, 5, 5)
    wide = _conv(g, x, 2, 2, 3, 3, **PADDED)
    return g.Add(_conv(g, x, 2, 2, 1, 1), wide), g.Relu(wide)


# ---------------------------------------------------------------- samples


@fuse_parallel_convs.samples
def samples(random: Random) -> Case:
    rank, groups = random.choice((1, 2, 2, 3)), random.choice((1, 1, 2))
    channels = groups * random.randint(1, 2)
    out = channels if random.random() < 0.7 else groups * random.randint(1, 2)
    sizes: tuple[int | str, ...] = tuple(random.randint(3, 8) for _ in range(rank))
    sizes = DIMS[:rank] if random.random() < 0.3 else sizes
    shape: tuple[int | str, ...] = (random.choice((1, 2, "N")), channels, *sizes)
    strides = [random.choice((1, 1, 2)) for _ in range(rank)] if random.random() < 0.4 else [1] * rank
    drawn = [_drawn(random, channels, out, groups, strides) for _ in range(random.randint(2, 4))]
    kind, opset = random.choice(ADDING), random.choice((9, 13, 17, 20, 21))

    def build(g: CaseBuilder) -> ir.Value:
        x = g.input(*shape)
        try:
            made = [branch.of(g, x) for branch in drawn]
            return g.Sum(*made) if kind == "Sum" else reduce(partial(g.record, kind), made)
        except Refusal:  # shapes that do not go together: no valid case
            return x

    return Case(f"{kind} opset={opset} {shape} {drawn}", build, opset=opset, seed=random.getrandbits(32))


@dataclass(frozen=True)
class DrawnBranch:
    """A branch of `kind` over so many channels: filter shape if it is a convolution, and attributes.

    `deep` puts a 1×1 before it.
    """

    kind: str
    channels: int
    filter: tuple[int, ...]
    attributes: dict[str, Any]
    deep: bool

    def of(self, g: CaseBuilder, x: ir.Value) -> ir.Value:
        """The branch over `x`."""
        channels = self.channels
        if self.deep:
            x = g.Conv(x, g.weight(channels, channels, *[1] * (len(self.filter) - 2)))
        if self.kind == "Conv":
            bias = g.weight(self.filter[0]) if self.filter[-1] > 1 else None
            return g.Conv(x, g.weight(*self.filter), bias, **self.attributes)
        if self.kind == "AveragePool":
            return g.AveragePool(x, **self.attributes)
        return _bn(g, x, channels) if self.kind == "BatchNormalization" else x


def _drawn(random: Random, channels: int, out: int, groups: int, strides: Sequence[int]) -> DrawnBranch:
    """A branch whose windows lie centred on each other's, most of the time."""
    kind = random.choice(("Conv", "Conv", "Conv", "AveragePool", "BatchNormalization", "Identity"))
    rank = len(strides)
    kernel = [random.choice((1, 3, 3, 5, 2)) for _ in range(rank)]
    dilations = [random.choice((1, 1, 1, 2)) for _ in range(rank)]
    spans = [step * (taps - 1) for step, taps in zip(dilations, kernel, strict=True)]
    pads = [span // 2 for span in spans] + [span - span // 2 for span in spans]
    if random.random() < 0.1:
        pads = [random.randint(0, 2) for _ in pads]
    attributes: dict[str, Any] = {"strides": strides, "pads": pads}
    if kind == "AveragePool":
        attributes |= {"kernel_shape": kernel, "count_include_pad": random.choice((1, 1, 1, 0))}
        attributes["pads"] = [taps // 2 for taps in kernel] + [(taps - 1) // 2 for taps in kernel]
    else:
        attributes |= {"dilations": dilations, "group": groups}
    return DrawnBranch(kind, channels, (out, channels // groups, *kernel), attributes, random.random() < 0.2)
