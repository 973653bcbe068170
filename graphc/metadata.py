"""The keys under which graphc keeps what ONNX has no field for, in `metadata_props`. Other tools may drop them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import onnx_ir as ir

from graphc.errors import GraphcError

DIMS = "graphc.dims"  # of a model: the ranges of its symbolic dimensions, name -> {min, opt, max, ...}, as JSON
REWRITES = "graphc.rewrites"  # of a node: the rewrites that made it, in order, with commas
STOP_GRADIENT = "graphc.stop_gradient"  # of a node: no gradient flows back through it
LINT = "graphc.lint"  # of a node: the lints that its spec ignores there
CONSTANT = "graphc.constant"  # of a value: an initializer that is no parameter
CERTIFICATE = "graphc.certificate"  # of a model: what was done to it, as JSON; see graphc.certificate
COST = "graphc.cost"  # of a node: its multiply-adds by direction, as JSON

DIM_FORM = re.compile(r"(?:(?P<times>\d{1,9})\*)?(?P<name>[^*/]+)(?:/(?P<over>\d{1,9}))?")  # H, 2*H, H/2


def declared_dims(model: ir.Model) -> dict[str, dict[str, int]]:
    """The spec's ranged dims, name -> {min, opt, max, multiple_of}; empty for a model that graphc did not build.

    Metadata is untrusted: raises GraphcError (run/not-analysed) when it says anything else.
    """
    text = model.metadata_props.get(DIMS, "{}")
    try:
        return {str(name): _sizes(found) for name, found in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise GraphcError(
            f"metadata property '{DIMS}' is no mapping of names to ranges: {text[:80]}",
            code="run/not-analysed",
            hint='it looks like {"N": 1, "H": {"min": 64, "opt": 256, "max": 1024, "multiple_of": 4}}',
        ) from None


def preferred_dims(model: ir.Model) -> dict[str, int]:
    """The size of each of the spec's ranged dims to be fast at, its `opt`."""
    return {name: sizes["opt"] for name, sizes in declared_dims(model).items() if "opt" in sizes}


def _sizes(found: Any) -> dict[str, int]:
    sizes = {"opt": int(found)} if isinstance(found, int) else {str(key): int(n) for key, n in found.items()}
    if min(sizes.values(), default=1) < 1:
        raise ValueError("a size is at least 1")
    return sizes


def evaluate_dim(dim: str, sizes: Mapping[str, int]) -> int | None:
    """`H`, `2*H` and `H/2`, the forms that graphc writes; None for anything else."""
    match = DIM_FORM.fullmatch(dim)
    if match is None or match["name"] not in sizes:
        return None
    return int(match["times"] or 1) * sizes[match["name"]] // max(int(match["over"] or 1), 1)


def sized(dim: int | ir.SymbolicDim, sizes: Mapping[str, int]) -> int | ir.SymbolicDim:
    """A dimension as a number where these sizes give it one, else as it is."""
    size = None if isinstance(dim, int) else evaluate_dim(dim.value or "", sizes)
    return dim if size is None else size
