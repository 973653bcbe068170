"""Fuse two Resizes that repeat each element into one.

Law    up_t(up_s(x)) = up_{s·t}(x)     ⌊⌊o/t⌋/s⌋ = ⌊o/(s·t)⌋, on every axis
Why    one full read and write of the activation less.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, rewrite
from graphc_passes.nodes.resampling import Resampling
from graphc_passes.nodes.resizes import repeated
from graphc_passes.sampling.resizes import resize


@rewrite("Resize", "Upsample", numerics="exact", improves=("bytes", "nodes"))
def fuse_resizes(root: View, op: Tape) -> ir.Value:
    outer = Resampling.read(root)
    inner = Resampling.read(root.producer("X", "Resize", "Upsample"))
    factors = np.multiply(_factors(outer), _factors(inner))
    return repeated(op, inner.data, [int(factor) for factor in factors])


def _factors(resampling: Resampling) -> list[int]:
    """How often each axis is repeated. Raises Refusal when it is resized otherwise."""
    periods = [resampling.periodic(index) for index in range(resampling.rank)]
    if not all(period.replicates for period in periods):
        raise Refusal("an axis is not enlarged by repetition")
    return [period.up for period in periods]


FLOOR = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}


def _twice(x: tuple[int | str, ...], first: list[float], second: list[float], **attributes: Any) -> Any:
    return lambda g: resize(g, resize(g, g.input(*x), first, **attributes), second)


@fuse_resizes.cases
def cases() -> Iterator[Case]:
    image = (1, 2, 3, 4)
    yield Case("twice twice", _twice(image, [1, 1, 2, 2], [1, 1, 2, 2]))
    yield Case("rows, then columns", _twice(image, [1, 1, 2, 1], [1, 1, 1, 3], **FLOOR))
    yield Case("channels too, dynamic sizes", _twice(("N", 2, "H", "W"), [1, 2, 2, 1], [1, 1, 3, 2]))
    yield Case("to sizes", lambda g: resize(g, resize(g, g.input(*image), [1, 1, 2, 2]), sizes=[1, 2, 12, 8]))
    yield Case("opset 11", lambda g: _old(g, roi=[]), opset=11)
    yield Case("Upsample", lambda g: _old(g, op_type="Upsample"), opset=9)
    yield Case(
        "linear",
        _twice(image, [1, 1, 2, 2], [1, 1, 2, 2], mode="linear"),
        refuses="an axis is not enlarged by repetition",
    )
    yield Case("halved", _twice(image, [1, 1, 2, 2], [1, 1, 0.5, 2]), refuses="an axis is not enlarged by repetition")


def _old(g: CaseBuilder, **attributes: Any) -> ir.Value:
    return resize(g, resize(g, g.input(1, 2, 3, 4), [1, 1, 2, 2], **attributes), [1, 1, 1, 2], **attributes)


@fuse_resizes.samples
def samples(random: Random) -> Case:
    rank = random.choice((3, 4, 4, 5))
    x: list[int | str] = [random.randint(1, 3) for _ in range(rank)]
    if random.random() < 0.2:
        x = ["N", 2, *"HWD"[: rank - 2]]
    first, second = ([float(random.choice((1, 1, 2, 3))) for _ in range(rank)] for _ in range(2))
    how = random.choice(({}, FLOOR, {"nearest_mode": "ceil"}))
    return Case(f"{x} {first} {second} {how}", _twice(tuple(x), first, second, **how), seed=random.getrandbits(32))
