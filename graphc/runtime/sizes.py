"""A size for every symbolic dimension of a model that is to be run.

It is, in this order: what the caller gives, the smallest legal size in the model's metadata property
`graphc.dims` (JSON: a name to an int or to `{min, opt, max, multiple_of}`; the smallest, so that a check is quick),
else 2 for a first axis (a batch of 1 hides mistakes) and 32 for any other (32 survives five halvings).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.metadata import DIM_FORM, declared_dims, evaluate_dim

BATCH, SIZE = 2, 32
MAX_ELEMENTS = 1 << 28  # of one made-up input; sizes in a model's metadata are untrusted


def required(graph: ir.Graph) -> list[ir.Value]:
    """The inputs that must be fed: those that are not also initializers."""
    return [value for value in graph.inputs if not value.is_initializer()]


def bindings(model: ir.Model, given: Mapping[str, int]) -> dict[str, int]:
    """A size for every dimension that the model names. Raises GraphcError (run/usage) for one it lacks."""
    sizes = {name: _smallest(dim) for name, dim in declared_dims(model).items()}
    for value in required(model.graph):
        for axis, dim in enumerate(value.shape or ()):
            match = DIM_FORM.fullmatch(str(dim.value)) if isinstance(dim, ir.SymbolicDim) and dim.value else None
            if match:
                sizes.setdefault(match["name"], BATCH if axis == 0 else SIZE)
    wrong = [f"{name}={size}" for name, size in given.items() if size < 1]
    if wrong:
        raise GraphcError(f"a size is at least 1: {', '.join(wrong)}", code="run/usage")
    unknown = sorted(given.keys() - sizes.keys())
    if unknown:
        raise GraphcError(
            f"the model has no dimension {', '.join(unknown)}",
            code="run/usage",
            hint=f"its dimensions are: {', '.join(sorted(sizes)) or 'all fixed'}",
        )
    return {**sizes, **given}


def _smallest(dim: Mapping[str, int]) -> int:
    """The smallest legal size of a dimension's range."""
    multiple = dim.get("multiple_of", 1)
    return math.ceil(dim.get("min", dim.get("opt", 1)) / multiple) * multiple


def shape_of(value: ir.Value, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape that an input is fed with. Raises GraphcError (run/not-analysed): no rank or no size."""
    if value.shape is None:
        raise GraphcError(
            f"input '{value.name}' has no declared rank",
            code="run/not-analysed",
            hint="give its value with `inputs`",
        )
    shape = []
    for axis, dim in enumerate(value.shape):
        known = dim if isinstance(dim, int) else evaluate_dim(dim.value or "", sizes)
        shape.append((BATCH if axis == 0 else SIZE) if known is None else known)
    if min(shape, default=1) < 0 or math.prod(shape) > MAX_ELEMENTS:
        raise GraphcError(
            f"input '{value.name}' of shape {tuple(shape)} is too large to make up",
            code="run/not-analysed",
            hint="give smaller sizes with `dims`",
        )
    return tuple(shape)
