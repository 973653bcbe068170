"""The layer library: what a spec can say on one line.

A layer is a pydantic model: its fields are the parameters (typed, documented, with defaults and one-letter
aliases), its docstring is its page, its `emit` writes the nodes and its signature counts the inputs.
The same class validates, fills in defaults, and is the JSON Schema. One family per file; plugins add families
through the entry point group `graphc.layers`.
"""

from __future__ import annotations

import inspect
import re
from abc import abstractmethod
from collections.abc import Iterable
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import onnx_ir as ir
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from graphc import registry
from graphc.errors import GraphcError, suggest
from graphc.spec.diagnose import REFUSED, validated
from graphc.spec.parameters import Init

if TYPE_CHECKING:
    from graphc.spec.emit import Emitter

WeightInit = Annotated[Init | None, Field(description="initialisation of the weight; default: the spec's")]


def _as_layer(ref: str | dict[str, Any]) -> str | dict[str, Any]:
    """The reference itself. What is wrong with it is found where it is written, not where it is used."""
    try:
        make(ref)
    except GraphcError as error:
        raise PydanticCustomError(REFUSED, "{error}", {"error": error}) from None
    return ref


LayerRef = Annotated[str | dict[str, Any], AfterValidator(_as_layer)]  # "relu" or {"leaky_relu": 0.2}


def _as_tuple(value: object) -> object:
    if isinstance(value, list):
        return tuple(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, tuple):
        return value
    raise PydanticCustomError("per_axis_type", "neither an integer nor a list")


# One integer for every spatial axis, or one per axis.
PerAxis = Annotated[tuple[int, ...], BeforeValidator(_as_tuple, json_schema_input_type=int | list[int])]


class Layer(BaseModel):
    """Base of every layer. Subclass it, declare parameters as fields, write `emit`.

    `primary` names the parameter that `conv: 64` sets. The layer's name is the class name in snake_case.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    primary: ClassVar[str | None] = None

    @abstractmethod
    def emit(self, g: Emitter, *inputs: Any, **_: Any) -> Any:
        """Write the layer's nodes; returns a value, a tuple of values, or a dict of named values."""

    @classmethod
    def layer_name(cls) -> str:
        """`MaxPool` -> `max_pool`."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    @classmethod
    @cache
    def arity(cls) -> tuple[int, int | None]:
        """(fewest, most) inputs; most is None when there is no limit."""
        parameters = list(inspect.signature(cls.emit).parameters.values())[2:]
        fixed = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        least = sum(p.default is p.empty for p in fixed)
        variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        return max(least, variadic), None if variadic else len(fixed)


@cache
def layers() -> dict[str, type[Layer]]:
    """Every layer by name, from graphc and its plugins. Raises GraphcError on a name claimed twice."""
    return registry.objects(registry.LAYERS, _family)


def _family(entry: registry.Entry) -> dict[str, type[Layer]]:
    """The layers that a module defines itself."""
    module = entry.load()
    classes = [cls for cls in vars(module).values() if inspect.isclass(cls) and issubclass(cls, Layer)]
    own = [cls for cls in classes if cls.__module__ == module.__name__ and not inspect.isabstract(cls)]
    return {cls.layer_name(): cls for cls in own if not cls.__name__.startswith("_")}


def find(name: str, others: Iterable[str] = ()) -> type[Layer]:
    """The layer of that name. Raises GraphcError (spec/unknown-layer), which may suggest one of `others` too."""
    if name not in layers():
        known = chain(others, layers())
        raise GraphcError(f"unknown layer '{name}'", code="spec/unknown-layer", hint=suggest(name, known))
    return layers()[name]


def make(ref: LayerRef) -> Layer:
    """The layer that `"relu"`, `{"leaky_relu": 0.2}` or `{"conv": {"out": 8}}` names, with its parameters."""
    if isinstance(ref, dict) and len(ref) != 1:
        raise GraphcError(
            "a layer is one name with its parameters",
            code="spec/bad-type",
            hint="for example {leaky_relu: 0.2}",
        )
    name, arguments = (ref, None) if isinstance(ref, str) else next(iter(ref.items()))
    cls = find(name)
    return validated(cls, as_arguments(cls, arguments), owner=name, unknown="spec/unknown-argument")


def emitted(layer: Layer, g: Emitter, *inputs: ir.Value | None) -> Any:
    """What the layer's `emit` returns. Raises GraphcError (run/plugin-failed) for whatever a plugin's raises."""
    module = type(layer).__module__
    if module.partition(".")[0] == __name__.partition(".")[0]:
        return layer.emit(g, *inputs)
    try:
        return _of_values(layer.emit(g, *inputs))
    except GraphcError:
        raise
    except Exception as error:  # a plugin's emit is foreign code: it may raise anything
        owners = {entry.module: entry.distribution for entry in registry.entries(registry.LAYERS).values()}
        owner = owners.get(module, module)
        raise GraphcError(
            f"layer '{layer.layer_name()}' of {owner}: {type(error).__name__}: {error}",
            code="run/plugin-failed",
            hint=f"report it to the authors of {owner}",
        ) from error


def _of_values(result: object) -> object:
    """What an `emit` returned. Raises TypeError where that is no value, tuple of values, or dict of values."""
    parts = result.values() if isinstance(result, dict) else result if isinstance(result, (tuple, list)) else [result]
    for part in parts:
        if not isinstance(part, ir.Value):
            raise TypeError(f"emit returned {type(part).__name__} instead of a value")
    return result


def as_arguments(cls: type[Layer], arguments: object) -> dict[str, Any]:
    """The parameters that an item's value gives: a mapping as it is, all else as the primary parameter."""
    if arguments is None:
        return {}
    if isinstance(arguments, dict):
        return arguments
    if cls.primary is None:
        raise GraphcError(
            f"'{cls.layer_name()}' has no primary parameter, so it takes a mapping",
            code="spec/bad-type",
            hint=f"write {cls.layer_name()}: {{name: value}}; parameters: {', '.join(cls.model_fields) or 'none'}",
        )
    return {cls.primary: arguments}


__all__ = [
    "Field",
    "Init",
    "Layer",
    "LayerRef",
    "PerAxis",
    "WeightInit",
    "as_arguments",
    "emitted",
    "find",
    "layers",
    "make",
]
