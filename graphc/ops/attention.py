"""Attention: softmax(scale·Q·Kᵀ + mask)·V for each head, its recurrent kin, and the rotation that goes before.

Every pair of a query and a key counts; pairs that position alone rules out (causal, windows) are told apart exactly as
`padding`, so the effective counts are Sq·Skv less the masked pairs. What a mask in a tensor rules out is data.

Back there are four products: the gradients of V and of the weights, then of Q and of K. Making the scores once more,
as fused kernels do, is not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import onnx_ir as ir

from graphc.convolution import static_shape
from graphc.costs import ZERO, Cost
from graphc.ops.op import (
    Op,
    Saved,
    buffer,
    elements,
    floating,
    gradient_traffic,
    keep,
    op,
    operand,
    optional,
    traffic,
)
from graphc.ops.reduction import softmax, softmax_gradient
from graphc.view import Refusal, View, constant

QUERY, KEY, VALUE, MASK, PAST_KEY, PAST_VALUE, LENGTHS = range(7)
FLOAT_BYTES = 4


@dataclass(frozen=True)
class Heads:
    """Sizes of an attention; `visible` are the pairs of one head, over the whole batch, that position allows."""

    batch: int
    heads: int
    kv_heads: int
    queries: int
    past: int
    keys: int
    width: int
    value_width: int
    visible: int

    @property
    def rows(self) -> int:
        """Rows of scores."""
        return self.batch * self.heads * self.queries

    @property
    def scores(self) -> int:
        """Pairs of a query and a key, past ones too."""
        return self.rows * (self.past + self.keys)

    @property
    def allowed(self) -> int:
        """Scores that position allows."""
        return self.heads * self.visible

    def each(self, cost: Cost) -> Cost:
        """That cost for each score, masked ones marked."""
        whole, masked = cost * self.scores, cost * (self.scores - self.allowed)
        return whole + Cost(padding_mac=masked.mac, padding_step=masked.flops - 2 * masked.mac)


@op("Attention")
class Attention(Op):
    """Q [batch, heads, queries, width] or [batch, queries, heads·width], K and V likewise; fewer heads of K and V are
    shared."""

    gradients = frozenset({QUERY, KEY, VALUE, MASK, PAST_KEY, PAST_VALUE})

    def forward(self, view: View) -> Cost:
        heads = read_heads(view)
        scale = Cost(mul=elements(operand(view, QUERY)))
        products = heads.each(Cost(mac=heads.width + heads.value_width))
        return products + scale + self._scores(view, heads) + traffic(view)

    def shared(self, view: View) -> Cost:
        """The gradients of the weights and, through the softmax, of the scores."""
        heads = read_heads(view)
        cap = heads.each(Cost(mul=2, add=1)) if view.attr("softcap") else ZERO
        return heads.each(Cost(mac=heads.value_width)) + softmax_gradient(heads.scores, heads.rows) + cap

    def toward(self, view: View, index: int) -> Cost:
        if index == MASK:
            return broadcast_mask(view, read_heads(view).scores)
        heads = read_heads(view)
        width = heads.value_width if index in (VALUE, PAST_VALUE) else heads.width
        own = operand(view, index)
        if index == QUERY:
            read = gradient_traffic(view, index, operand(view, KEY))
            return heads.each(Cost(mac=width)) + Cost(mul=elements(own)) + read
        part = heads.past if index in (PAST_KEY, PAST_VALUE) else heads.keys
        whole = heads.each(Cost(mac=width))
        share = Cost(mac=whole.mac * part // max(1, heads.past + heads.keys))
        product = whole if part == heads.past + heads.keys else share
        sums = Cost(add=(heads.heads // heads.kv_heads - 1) * elements(own))
        return product + sums + gradient_traffic(view, index, operand(view, QUERY))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The operands, the output and one number per row of scores, from which the weights are made again."""
        if not wanted:
            return ()
        heads = read_heads(view)
        operands = [optional(view, index) for index in (QUERY, KEY, VALUE, MASK, PAST_KEY, PAST_VALUE)]
        kept = tuple(saved for value in [*operands, view.node.outputs[0]] for saved in keep(value, "operand"))
        return kept + buffer(heads.rows * FLOAT_BYTES, "logarithms of sums")

    def _scores(self, view: View, heads: Heads) -> Cost:
        """Cap, mask and softmax."""
        cap = heads.each(Cost(div=1, transcendental=1, mul=1)) if view.attr("softcap") else ZERO
        mask, masked = optional(view, MASK), ZERO
        if mask is not None:
            masked = heads.each(Cost(add=1) if floating(mask) else Cost(cmp=1))
        return cap + masked + softmax(heads.scores, heads.rows)


def broadcast_mask(view: View, scores: int) -> Cost:
    """The gradient of a mask that was added to every score it is broadcast to."""
    own = elements(operand(view, MASK))
    return Cost(add=max(0, scores - own)) + gradient_traffic(view, MASK)


def read_heads(view: View) -> Heads:
    """The sizes that an Attention node states. Raises Refusal when they are not known."""
    query, key, value = (static_shape(operand(view, index)) for index in (QUERY, KEY, VALUE))
    many, few = view.attr("q_num_heads"), view.attr("kv_num_heads")
    batch, heads, queries, width = split_heads(query, many)
    _, kv_heads, keys, _ = split_heads(key, few)
    past = optional(view, PAST_KEY)
    before = static_shape(past)[2] if past is not None else 0
    offsets = _offsets(view, batch, before, queries)
    visible = sum(_visible(view, queries, before + keys, offset) * times for offset, times in offsets)
    return Heads(batch, heads, kv_heads, queries, before, keys, width, split_heads(value, few)[3], visible)


def split_heads(shape: tuple[int, ...], heads: int | None) -> tuple[int, int, int, int]:
    """(batch, heads, length, width) of either layout. Raises Refusal for another."""
    if len(shape) == 4:
        return shape[0], shape[1], shape[2], shape[3]
    if len(shape) != 3 or not heads:
        raise Refusal("the number of heads is not known")
    return shape[0], heads, shape[1], shape[2] // heads


def _offsets(view: View, batch: int, past: int, queries: int) -> list[tuple[int, int]]:
    """(how many keys lie before the first query, for how many of the batch)"""
    lengths = optional(view, LENGTHS)
    bounded = view.attr("is_causal") or _windows(view) != (None, None)
    if lengths is None or past or not bounded:
        return [(past, batch)]
    known = constant(lengths)
    if known is None:
        raise Refusal("how many keys are valid, and so what is masked, is known only at run time")
    return [(int(length) - queries, 1) for length in known.flat]


def _visible(view: View, queries: int, keys: int, offset: int) -> int:
    """Pairs of a position p, from `offset` on, and a key j with p − left ≤ j ≤ p + right."""
    left, right = _windows(view)
    upto = queries * keys if right is None else _clamped(offset + right + 1, queries, keys)
    return upto - (0 if left is None else _clamped(offset - left, queries, keys))


def _clamped(first: int, count: int, top: int) -> int:
    """first + (first + 1) + ..., `count` numbers, each at least 0 and at most `top`."""
    last = first + count
    low, high = min(max(first, 0), max(last, 0)), max(min(last, top), min(first, top))
    rising = max(0, high - low)
    return rising * (low + high - 1) // 2 + top * max(0, last - max(first, top))


def _windows(view: View) -> tuple[int | None, int | None]:
    """How far a query sees to its left and right; None: all the way."""
    left, right = (view.attr(f"{side}_window_size") for side in ("left", "right"))
    left, right = (None if size is None or size < 0 else size for size in (left, right))
    return left, 0 if view.attr("is_causal") else right


@op("RotaryEmbedding")
class RotaryEmbedding(Op):
    """Pairs of elements turned by an angle: two products and an add for each; back, turned the other way.

    The tables of sines and cosines are positions, not parameters.
    """

    gradients = frozenset({0})

    def forward(self, view: View) -> Cost:
        return self._turned(view) + traffic(view)

    def toward(self, view: View, index: int) -> Cost:
        return self._turned(view) + gradient_traffic(view, index, *self._tables(view))

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        return tuple(saved for table in self._tables(view) for saved in keep(table, "table")) if wanted else ()

    def _turned(self, view: View) -> Cost:
        data = operand(view, 0)
        _, _, _, width = split_heads(static_shape(data), view.attr("num_heads"))
        turned = elements(data) // max(1, width) * (view.attr("rotary_embedding_dim") or width)
        return Cost(mul=2, add=1) * turned

    def _tables(self, view: View) -> list[ir.Value]:
        return [operand(view, 1), operand(view, 2)]


@op("LinearAttention")
class LinearAttention(Op):
    """A state [dk, dv] for each head of keys, updated by every token and read by every head of queries.

    S ← exp(g)·S + k⊗(β·(v − exp(g)·Sᵀk)),  o = scale·Sᵀq, with as much of it as `update_rule` says. Back, the state's
    gradient runs through time once (`shared`); towards each operand there is then a product of the same size.
    """

    gradients = frozenset({0, 1, 2, 3, 4, 5})
    DECAY, BETA = 4, 5

    def forward(self, view: View) -> Cost:
        reads, updates, values = self._sizes(view)
        gated, delta = self._rule(view)
        work = Cost(mac=reads + updates * (2 if delta else 1), mul=elements(view.node.outputs[0]))
        if gated:
            work += Cost(mul=updates, transcendental=elements(operand(view, self.DECAY)))
        return work + (Cost(add=values, mul=values) if delta else ZERO) + traffic(view)

    def shared(self, view: View) -> Cost:
        reads, updates, _ = self._sizes(view)
        gated, delta = self._rule(view)
        return Cost(mac=reads + (2 * updates if delta else 0), mul=updates if gated else 0)

    def toward(self, view: View, index: int) -> Cost:
        reads, updates, values = self._sizes(view)
        _, delta = self._rule(view)
        work = {
            QUERY: Cost(mac=reads),
            KEY: Cost(mac=updates * (2 if delta else 1)),
            VALUE: Cost(mul=values) if delta else Cost(mac=updates),
            self.DECAY: Cost(mul=2, add=1) * updates,
            self.BETA: Cost(mul=values, add=values),
        }
        return work.get(index, ZERO) + gradient_traffic(view, index)

    def saved(self, view: View, wanted: frozenset[int]) -> tuple[Saved, ...]:
        """The operands; states are made again."""
        present = (value for value in view.node.inputs if value is not None)
        return tuple(saved for value in present for saved in keep(value, "operand")) if wanted else ()

    def _rule(self, view: View) -> tuple[bool, bool]:
        """(whether the state decays, whether what it already says is taken off)"""
        rule = view.attr("update_rule")
        return "gated" in rule, "delta" in rule

    def _sizes(self, view: View) -> tuple[int, int, int]:
        """(products to read the state, to update it once, elements of all values)"""
        many, few = view.attr("q_num_heads"), view.attr("kv_num_heads")
        batch, heads, tokens, width = split_heads(static_shape(operand(view, QUERY)), many)
        value_width = split_heads(static_shape(operand(view, VALUE)), few)[3]
        steps = batch * tokens * width * value_width
        return steps * heads, steps * few, prod((batch, tokens, few, value_width))
