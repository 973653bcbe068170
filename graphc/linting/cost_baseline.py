"""The costs that were kept of a subject, where the settings name them, and its costs now, at the same sizes."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir

from graphc.analysis.cost_baseline import CostBaseline
from graphc.analysis.cost_report import CostReport
from graphc.errors import GraphcError
from graphc.linting.lint import NotAsked
from graphc.linting.subject import Subject
from graphc.naming import split_source
from graphc.runtime.sizes import required


def kept_and_new(subject: Subject) -> tuple[CostBaseline, CostBaseline]:
    """What was kept and what is now. Raises NotAsked where the settings name no `cost-baseline`.

    It names a file, or a folder that has one of each source: `can@can24.json`, `model.json`. Raises GraphcError as
    `CostBaseline.read`, and (run/not-analysed) where the two are not of one network at one size.
    """
    path = subject.resolved.path("cost_baseline", subject.source)
    if path is None:
        raise NotAsked
    kept = CostBaseline.read(path / f"{_stem(subject.source)}.json" if path.is_dir() else path)
    new = CostBaseline.of(_report(subject, kept))
    if kept.inputs != new.inputs:
        raise _other(f"takes {_shown(kept)}, and this network {_shown(new)}")
    if new.uncosted > kept.uncosted:
        raise _other(f"has {kept.uncosted} nodes without a known cost, and this network {new.uncosted}")
    return kept, new


def _other(why: str) -> GraphcError:
    return GraphcError(f"the cost baseline {why}", code="run/not-analysed", hint="keep a new one")


def _stem(source: str) -> str:
    """`specs/can.yaml@can24` -> `can@can24`."""
    file, variant = split_source(source)
    return Path(file).stem + ("" if variant is None else f"@{variant}")


def _shown(baseline: CostBaseline) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in baseline.inputs.items()) or "no input of known size"


def _report(subject: Subject, kept: CostBaseline) -> CostReport:
    """The costs at the sizes of what was kept."""
    sizes: dict[str, int] = {}
    batch = None
    for value in required(subject.model.graph):
        shape = kept.inputs.get(value.name or "", ())
        if value.shape is None or len(shape) != len(value.shape):
            continue
        for dim, size in zip(value.shape, shape, strict=True):
            if isinstance(dim, ir.SymbolicDim) and (dim.value or "").isidentifier():
                sizes.setdefault(str(dim.value), size)
        if batch is None and len(shape) and value.shape[0] != shape[0] and isinstance(value.shape[0], int):
            batch = shape[0]
    return subject.cost(training=kept.training, dims=sizes, batch=batch)
