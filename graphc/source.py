"""Where everything begins: a spec (`net.yaml`, `net.yaml@variant`) or a model (`net.onnx`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir as ir
from onnx_ir.passes.common import RemoveInitializersFromInputsPass

from graphc.analysis.binding import bind_only
from graphc.errors import GraphcError, collect, suggest
from graphc.limits import DEFAULT, Limits
from graphc.model import load
from graphc.naming import is_model
from graphc.pipeline import Pipeline

if TYPE_CHECKING:
    from graphc.spec.network import Network

Passes = str | Sequence[Any]  # what a pipeline is made from


def open_source(
    source: str | Path | ir.Model,
    *,
    params: Mapping[str, Any] | None = None,
    dims: Mapping[str, int] | None = None,
    target: str | None = None,
    seed: int | None = None,
    weights: bool = True,
    freeze_inputs: bool = False,
    check_passes: bool = False,
    limits: Limits = DEFAULT,
) -> tuple[ir.Model, Passes | None]:
    """The model that a spec describes or a file holds, before any pass, and the passes that its spec asks for, if any.

    `dims` gives symbolic dimensions one size each. `params`, `target`, `seed` (instead of that of the spec's weights)
    and `weights` (False: shapes without content, and weight files need not be there) are for specs, `freeze_inputs`
    (initializers that are also graph inputs become constants) for models. An ir.Model is left as it is. With
    `check_passes` the passes that a spec asks for must exist, before its weights are made. Raises GraphcError:
    run/usage, and what `expand`, `load` and `Pipeline` raise.
    """
    if isinstance(source, str | Path) and not is_model(source):
        _only_for("model", source, freeze_inputs=freeze_inputs or None)
        from graphc.spec.doors import expand  # not for a model: it takes long

        network = expand(source, params=params, dims=dims, target=target, limits=limits)
        if check_passes and (errors := pass_errors(network)):
            raise collect(errors)
        if weights:
            network.fill(seed=seed, limits=limits)
        return network.model(), network.spec.passes
    _only_for("spec", source, params=params or None, target=target, seed=seed)
    if not isinstance(source, ir.Model):
        model = load(source, freeze_inputs=freeze_inputs, limits=limits)
    elif freeze_inputs:
        model = RemoveInitializersFromInputsPass()(source.clone()).model
    else:
        model = source
    return _fixed(model, dims or {}), None


def pass_errors(network: Network) -> list[GraphcError]:
    """Every mistake in a spec's `passes:`, each at its place."""
    asked = network.spec.passes
    places: list[tuple[str | int, ...]] = [("passes",)]
    if not isinstance(asked, str):
        places = [("passes", index) for index in range(len(asked or ()))]
    errors = []
    for path, item in zip(places, [asked] if isinstance(asked, str) else asked or (), strict=True):
        try:
            Pipeline([item])
        except GraphcError as error:
            where = network.place(*path)
            errors.append(GraphcError(error.message, code=error.code, where=where, hint=error.hint))
    return errors


def _only_for(kind: str, source: str | Path | ir.Model, **given: object) -> None:
    """Raises GraphcError (run/usage) for an argument (not None) that the other kind of source would ignore."""
    other = "model" if kind == "spec" else "spec"
    shown = "this" if isinstance(source, ir.Model) else source
    for name, value in given.items():
        if value is not None:
            raise GraphcError(f"`{name}` is for {kind}s, and {shown} is a {other}", code="run/usage")


def _fixed(model: ir.Model, sizes: Mapping[str, int]) -> ir.Model:
    """The model with one size for each of these dimensions. Raises GraphcError (run/usage) for a name it lacks."""
    if not sizes:
        return model
    shapes = [value.shape for value in model.graph.inputs if value.shape is not None]
    names = {size.value for shape in shapes for size in shape if isinstance(size, ir.SymbolicDim) and size.value}
    for name in sizes:
        if name not in names:
            hint = suggest(name, names) or "all its dimensions are fixed"
            raise GraphcError(f"the model has no dimension '{name}'", code="run/usage", hint=hint)
    bound = bind_only(model, sizes)
    bound.meta.update(model.meta)  # what reading the file found, which a clone does not keep
    return bound
