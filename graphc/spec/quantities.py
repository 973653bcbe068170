"""Counts, sizes and dims as specs and settings write them: `2G`, `10MB`, `{min: 1, max: 8}`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Section(BaseModel):
    """Base of every part of a spec: unknown keys are errors, values are never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


DECIMAL = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}
BYTES = {
    **{f"{prefix}B": factor for prefix, factor in DECIMAL.items()},
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
    "KB": 1e3,
    "": 1,
}
SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def _quantity(value: str, units: dict[str, float], example: str) -> float:
    """`1.6M` -> 1600000.0."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([A-Za-z]*)", value)
    if found is None or found[2] not in units:
        raise ValueError(f"must be a number with a unit, such as {example}")
    return float(found[1]) * units[found[2]]


def _count(value: object) -> object:
    return round(_quantity(value, DECIMAL, "80k, 1.6M or 200G")) if isinstance(value, str) else value


def _bytes(value: object) -> object:
    return round(_quantity(value, BYTES, "1GiB, 1.5MB or 80000")) if isinstance(value, str) else value


def _seconds(value: object) -> object:
    return _quantity(value, SECONDS, "5ms or 0.2s") if isinstance(value, str) else value


Count = Annotated[int, BeforeValidator(_count, json_schema_input_type=int | str), Field(ge=0)]
Bytes = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=int | str), Field(ge=0)]
Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=float | str), Field(ge=0)]


FAR = 61  # a prime: no layer scales by it


class Dim(Section):
    """A symbolic dimension: one size, or a range that the model must accept.

    `min`, `opt` and `max` default to the smallest size, to `max` (or `min`) and to no bound.
    """

    min: int | None = Field(None, ge=1, description="smallest size; multiple_of when not given")
    opt: int | None = Field(None, ge=1, description="the size to be fast at; max, or else min, when not given")
    max: int | None = Field(None, ge=1, description="largest size; unbounded when not given")
    multiple_of: int = Field(1, ge=1, description="every size is a multiple of this")

    @model_validator(mode="after")
    def _ordered(self) -> Dim:
        sizes = self.least, self.best, self.max if self.max is not None else self.best
        if list(sizes) != sorted(sizes):
            raise ValueError(f"needs min <= opt <= max, not {sizes[0]}, {sizes[1]}, {sizes[2]}")
        for size in sizes:
            if size % self.multiple_of and self.least != self.max:
                raise ValueError(f"has the size {size}, which is no multiple of {self.multiple_of}")
        return self

    @property
    def least(self) -> int:
        """The smallest size."""
        return self.min if self.min is not None else self.multiple_of

    @property
    def best(self) -> int:
        """The size to optimise for."""
        if self.opt is not None:
            return self.opt
        return self.max if self.max is not None else self.least

    @property
    def fixed(self) -> int | None:
        """The one size, or None where there is a range."""
        return self.max if self.least == self.max else None

    @property
    def largest(self) -> int:
        """The largest size, or one far beyond the best where there is no bound."""
        return self.max if self.max is not None else FAR * self.best + self.multiple_of

    def near(self, steps: int) -> int:
        """A size some steps of `multiple_of` above the best one, or else below it, or else the best one."""
        step = steps * self.multiple_of
        if self.max is None or self.best + step <= self.max:
            return self.best + step
        return self.best - step if self.best - step >= self.least else self.best


def _dim(value: object) -> object:
    fixed = isinstance(value, int) and not isinstance(value, bool)
    return {"min": value, "opt": value, "max": value} if fixed else value


DimOrSize = Annotated[Dim, BeforeValidator(_dim, json_schema_input_type=int | Dim)]
