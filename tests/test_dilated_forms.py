"""Every other form of a convolution over its whole attribute space, against the float64 nest: 2,000 of each form.

Many convolutions stand in one model, so that they are rewritten and evaluated together. What a rewrite makes is
evaluated by `onnx.reference`, which shares no code with the nest or the rewrite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx.reference import ReferenceEvaluator

from graphc.cases import CaseBuilder
from graphc.convolution import read_convolution
from graphc.pipeline import find_rewrite

# A result is a sum of at most 2·3² products of magnitudes around 1; 1e-9 leaves seven digits for their rounding.
RELATIVE = 1e-9
EACH, IN_A_MODEL = 2000, 100
NARROW = {"most_outputs": 6, "most_stride": 9, "least_sum": 0}
FORMS: dict[str, dict[str, Any]] = {
    "replace-dilated-conv-with-space-to-batch": {},
    "replace-dilated-conv-with-slice": {},
    "replace-conv-with-taps": {"dilated_only": False},
    "replace-dilated-conv-with-dense": {},
    "replace-strided-conv-with-space-to-depth": {},
    "replace-narrow-conv-with-row-split": NARROW,
    "replace-narrow-conv-with-output-blocking": NARROW | {"block": 3},
}


@dataclass(frozen=True)
class Drawn:
    """A Conv with its operands, and what the nest says that it computes."""

    attributes: dict[str, Any]
    data: np.ndarray
    filter: np.ndarray
    bias: np.ndarray | None
    expected: np.ndarray

    def __str__(self) -> str:
        return f"data {self.data.shape} filter {self.filter.shape} {self.attributes}"


def draw(random: Random) -> Drawn:
    """A Conv of any attributes with a non-empty output; every third of the kind that can be blocked."""
    plain = random.random() < 1 / 3
    rank = 2 if plain else random.choice((1, 1, 1, 1, 2, 2, 3))

    def per_axis(low: int, high: int) -> list[int]:
        return [random.randint(low, high) for _ in range(rank)]

    groups, inner, outer = 1 if plain else random.randint(1, 2), random.randint(1, 2), random.randint(1, 2)
    attributes: dict[str, Any] = {
        "strides": per_axis(1, 4),
        "dilations": per_axis(1, 1 if plain else 4),
        "group": groups,
    }
    if random.random() < 0.2:
        attributes["auto_pad"] = random.choice(("SAME_UPPER", "SAME_LOWER", "VALID"))
    else:
        attributes["pads"] = per_axis(0, 4) + per_axis(0, 4)
    data = [random.randint(1, 2), groups * inner, *per_axis(1, 5 if rank == 3 else 9)]
    filter_ = [groups * outer, inner, *per_axis(1, 5 - rank)]
    nest = read_convolution(ir.node("Conv", [ir.Value(), ir.Value()], attributes), data, filter_)
    if not all(nest.out_shape):
        return draw(random)
    normal = np.random.default_rng(random.getrandbits(32)).standard_normal
    x, w, b = normal(data), normal(filter_), normal(filter_[0]) if random.random() < 0.5 else None
    return Drawn(attributes, x, w, b, nest.run(x, w, b))


@cache
def all_drawn() -> list[Drawn]:
    """As many as it takes for each form to have its share."""
    random, found = Random(0), []
    missing = dict.fromkeys(FORMS, EACH)
    while max(missing.values()) > 0:
        found.append(draw(random))
        for name in missing:
            missing[name] -= applies(name, found[-1])
    return found


def applies(name: str, drawn: Drawn) -> bool:
    """Whether the form exists: what each rewrite is for, said without its code."""
    strides, dilations = (np.asarray(drawn.attributes[name]) for name in ("strides", "dilations"))
    taps = drawn.filter.shape[2:]
    forms = {
        "replace-dilated-conv-with-space-to-batch": (strides % dilations).any(),
        "replace-dilated-conv-with-slice": (np.gcd(strides, dilations) > 1).any(),
        "replace-conv-with-taps": max(taps) > 1,
        "replace-dilated-conv-with-dense": dilations.max() > 1,
        "replace-strided-conv-with-space-to-depth": strides.max() > 1,
        "replace-narrow-conv-with-row-split": taps[0] > 1,
        "replace-narrow-conv-with-output-blocking": (
            len(taps) == 2 and max(taps) > 1 and dilations.max() == drawn.attributes["group"] == 1
        ),
    }
    return bool(forms[name])


@pytest.mark.parametrize("name", FORMS)
def test_equals_the_nest(name: str) -> None:
    chosen = [drawn for drawn in all_drawn() if applies(name, drawn)][:EACH]
    fired = sum(check(name, chosen[first : first + IN_A_MODEL]) for first in range(0, len(chosen), IN_A_MODEL))
    assert fired >= 0.8 * EACH  # of slices, one in eight would read nothing but padding


def check(name: str, chosen: Sequence[Drawn]) -> int:
    """How many of them the rewrite fired on; all are right."""
    builder = CaseBuilder(20, ir.DataType.DOUBLE)
    outputs, feeds = [], {}
    for drawn in chosen:
        x = builder.input(*drawn.data.shape)
        weights = [None if content is None else builder.constant(content) for content in (drawn.filter, drawn.bias)]
        outputs.append(builder.Conv(x, *weights, **drawn.attributes))
        outputs[-1].shape = ir.Shape(drawn.expected.shape)  # ONNX's shape inference is wrong about some SAME
        feeds[x.name] = drawn.data
    run = find_rewrite(name)(**FORMS[name])
    after = run(builder.model(outputs)).model
    found = ReferenceEvaluator(ir.to_proto(after)).run(None, feeds)
    for drawn, result in zip(chosen, found, strict=True):
        assert result.shape == drawn.expected.shape, drawn
        assert np.abs(result - drawn.expected).max() <= RELATIVE * np.abs(drawn.expected).max(initial=1.0), drawn
    return len(run.fired)
