"""Attention over sequences [N, T, D], and the encodings of position it needs."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import onnx_ir as ir

from graphc.spec.layers import Field, Layer
from graphc.spec.layers._axes import check_broadcast, swap_last
from graphc.spec.layers.dense import project

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter


class Attention(Layer):
    """Multi-head scaled dot-product attention (Vaswani et al. 2017), self or cross.

    Inputs: query [N, T, D], then optionally key [N, S, E], value [N, S, F] and mask. The value defaults to
    the key, the key to the query. softmax(Q K^T / sqrt(dim / heads) + mask) V per head, [N, T, out].
    The mask broadcasts to [N, heads, T, S]: booleans say where to look, numbers are added to scores.
    """

    primary: ClassVar = "heads"
    heads: int = Field(gt=0, description="heads, which share `dim` equally")
    dim: int | None = Field(None, gt=0, description="size of all heads together; default: the query's")
    out: int | None = Field(None, gt=0, description="size of the output; default: the query's")
    bias: bool = Field(True, description="biases in the four projections")
    causal: bool = Field(False, description="look at positions up to one's own only")

    def emit(
        self,
        g: Emitter,
        query: ir.Value,
        key: ir.Value | None = None,
        value: ir.Value | None = None,
        mask: ir.Value | None = None,
    ) -> ir.Value:
        key = query if key is None else key
        value = key if value is None else value
        for sequence in (query, key, value):
            if g.rank(sequence) != 3:
                g.fail(f"expected [N, T, D], was given {g.show(sequence)}", code="spec/shape-mismatch")
        width = self.dim or g.size(query, 2)
        if width % self.heads:
            g.fail(f"{self.heads} heads do not divide {width}", code="spec/groups-do-not-divide")
        q, k, v = (self._split(g, x, width, name) for name, x in (("query", query), ("key", key), ("value", value)))
        scores = g.op("MatMul", q, swap_last(g, k, name="key_transposed"), name="products")
        scores = g.op("Mul", scores, g.constant(1 / sqrt(width // self.heads)), name="scores")
        if self.causal:
            scores = g.op("Where", _future(g, query, key), g.constant(-np.inf), scores, name="causal")
        if mask is not None:
            scores = _masked(g, mask, scores)
        mixed = g.op("MatMul", g.op("Softmax", scores, name="weights", axis=-1), v, name="mixed")
        merged = g.op("Transpose", mixed, name="positions", perm=[0, 2, 1, 3])
        merged = g.op("Reshape", merged, g.constant([0, 0, width]), name="merged")
        return project(g, merged, self.out or g.size(query, 2), bias=self.bias, name="out")

    def _split(self, g: Emitter, x: ir.Value, width: int, name: str) -> ir.Value:
        """[N, T, D] projected and cut into heads: [N, heads, T, width / heads]."""
        projected = project(g, x, width, bias=self.bias, name=name)
        heads = g.constant([0, 0, self.heads, width // self.heads])
        cut = g.op("Reshape", projected, heads, name=f"{name}_heads")
        return g.op("Transpose", cut, name=f"{name}_by_head", perm=[0, 2, 1, 3])


class PositionalEncoding(Layer):
    """x plus a vector for each position: [N, T, D], same shape out.

    Sinusoidal: sin(t / 10000^(2i/D)) in column 2i and the cosine in column 2i + 1 (Vaswani et al. 2017).
    Learned: a trainable table [length, D].
    """

    primary: ClassVar = "kind"
    kind: Literal["sinusoidal", "learned"] = Field("sinusoidal", description="fixed waves, or a trainable table")
    length: int | None = Field(None, gt=0, description="rows of the table; default: the longest sequence")

    def emit(self, g: Emitter, x: ir.Value) -> ir.Value:
        if g.rank(x) != 3:
            g.fail(f"expected [N, T, D], was given {g.show(x)}", code="spec/shape-mismatch")
        lengths = {sizes[1] for sizes in g.sizes(x)}
        if self.length is None and len(lengths) > 1 and not g.bounded:
            g.fail(
                "the longest sequence is not known",
                code="spec/dim-not-fixed",
                hint="give the dimension a max, or this layer a length",
            )
        rows, width = self.length or max(lengths), g.size(x, 2)
        if rows < max(lengths):
            g.fail(
                f"{rows} positions are fewer than the {max(lengths)} of {g.show(x)}",
                code="spec/shape-mismatch",
            )
        if self.kind == "learned":
            table = g.parameter("weight", (rows, width), "embedding", fan_in=rows, fan_out=width)
        else:
            table = g.constant(sinusoids(rows, width))
        if lengths != {rows}:
            used = g.op("Gather", g.op("Shape", x, name="shape"), g.constant([1]), name="length")
            table = g.op("Slice", table, g.constant([0]), used, g.constant([0]), name="positions")
        return g.op("Add", x, table)


def sinusoids(length: int, width: int) -> np.ndarray:
    """[length, width]: sin(t / 10000^(2i/width)) in column 2i, the cosine in column 2i + 1."""
    columns = np.arange(width)
    angles = np.arange(length)[:, None] / 10000 ** (columns // 2 * 2 / width)
    return np.where(columns % 2, np.cos(angles), np.sin(angles))


def _future(g: Emitter, query: ir.Value, key: ir.Value) -> ir.Value:
    """[T, S]: whether position s comes after position t."""
    rows, columns = (_positions(g, x, name) for x, name in ((query, "row"), (key, "column")))
    rows = g.op("Unsqueeze", rows, g.constant([1]), name="rows")
    return g.op("Less", rows, columns, name="future")


def _positions(g: Emitter, x: ir.Value, name: str) -> ir.Value:
    length = g.op("Gather", g.op("Shape", x, name=f"{name}_shape"), g.constant(1), name=f"{name}_count")
    return g.op("Range", g.constant(0), length, g.constant(1), name=f"{name}_positions")


def _masked(g: Emitter, mask: ir.Value, scores: ir.Value) -> ir.Value:
    check_broadcast(g, scores, mask)
    if mask.dtype == ir.DataType.BOOL:
        return g.op("Where", mask, scores, g.constant(-np.inf), name="masked")
    return g.op("Add", scores, mask, name="masked")
