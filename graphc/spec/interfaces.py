"""Types as a spec writes them, `f32[N, 3, H, W]`, and the sizes that symbolic dimensions are tried at."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from graphc.errors import GraphcError, suggest
from graphc.spec.emit import Point, Sizes
from graphc.spec.expressions import evaluate
from graphc.spec.quantities import Dim
from graphc.spec.scope import Frame

DTYPES = {
    "f16": ir.DataType.FLOAT16,
    "f32": ir.DataType.FLOAT,
    "f64": ir.DataType.DOUBLE,
    "bf16": ir.DataType.BFLOAT16,
    **{f"i{bits}": ir.DataType[f"INT{bits}"] for bits in (8, 16, 32, 64)},
    "u8": ir.DataType.UINT8,
    "bool": ir.DataType.BOOL,
}
SPELLING = 'for example "f32[N, 3, H, W]"'


@dataclass(frozen=True)
class TensorType:
    """An element type and one expression per axis."""

    dtype: ir.DataType
    dims: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> TensorType:
        """Raises GraphcError (spec/bad-type)."""
        found = re.fullmatch(r"\s*(\w+)\s*\[(.*)\]\s*", text, re.DOTALL)
        if found is None:
            raise GraphcError(f"'{text}' is not a type", code="spec/bad-type", hint=SPELLING)
        if found[1] not in DTYPES:
            raise GraphcError(
                f"unknown element type '{found[1]}'", code="spec/bad-type", hint=suggest(found[1], DTYPES)
            )
        return cls(DTYPES[found[1]], tuple(_split(found[2])))

    def sizes(self, names: Mapping[str, object]) -> Sizes:
        """The shape. Raises GraphcError: spec/undeclared-dim, spec/non-integral, spec/bad-value."""
        return tuple(_size(text, names) for text in self.dims)


def written(dtype: ir.DataType | None, labels: Sequence[int | str | None]) -> str:
    """A type as a spec writes it: `f32[1, 3, H, W]`."""
    spelling = next((word for word, known in DTYPES.items() if known == dtype), "?")
    return f"{spelling}[{', '.join('?' if label is None else str(label) for label in labels)}]"


def _split(text: str) -> list[str]:
    """The parts between the commas that are in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    stripped = [part.strip() for part in parts]
    return [] if stripped == [""] else stripped


def _size(text: str, names: Mapping[str, object]) -> int:
    if text.isidentifier() and text not in names:
        raise GraphcError(
            f"dimension '{text}' is not declared",
            code="spec/undeclared-dim",
            hint=suggest(text, names) or "give it a size or a range in 'dims'",
        )
    value = evaluate(text, names)
    if isinstance(value, float) and not value.is_integer():
        raise GraphcError(f"the size '{text}' is {value}", code="spec/non-integral")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value < 1:
        raise GraphcError(f"the size '{text}' is {value}, not a positive integer", code="spec/bad-value")
    return int(value)


STEPS = (1, 2, 3, 5, 7)  # away from the best size: with 0, every residue of 2, 3 and 4, and most of 5 to 8


def points_of(dims: Mapping[str, Dim]) -> list[Point]:
    """The assignments that shapes are computed at.

    The best sizes, the smallest, the largest (a far one where there is no largest), and some around the best: each
    with other steps for each dimension, which tells them apart and shows sizes that do not divide.
    """
    ranged = [name for name, dim in dims.items() if dim.fixed is None]
    points = [{name: dim.best for name, dim in dims.items()}]
    if ranged:
        points.append({name: dim.least for name, dim in dims.items()})
        points.append({name: dim.largest for name, dim in dims.items()})
    for turn in range(len(STEPS)):
        steps = {name: STEPS[(turn + place) % len(STEPS)] for place, name in enumerate(ranged)}
        points.append({name: dim.near(steps.get(name, 0)) for name, dim in dims.items()})
    return [point for index, point in enumerate(points) if point not in points[:index]]


def sizes_at(type_: TensorType, points: Sequence[Point], variables: Mapping[str, object]) -> list[Sizes]:
    """The shape at every point. Raises what `TensorType.sizes` raises, and Poisoned."""
    return [type_.sizes(Frame({**variables, **point})) for point in points]
