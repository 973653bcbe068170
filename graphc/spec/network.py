"""From a spec to a network: its nodes, parameters and training part, and from that to an ONNX model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx_ir as ir

from graphc.errors import GraphcError, Where, suggest
from graphc.limits import DEFAULT, Limits
from graphc.spec.diagnose import located
from graphc.spec.document import parse
from graphc.spec.emit import Emitter
from graphc.spec.expansion import Body, Expander
from graphc.spec.interfaces import TensorType, points_of, sizes_at
from graphc.spec.language import Optimizer, Spec, Target
from graphc.spec.modules import Loader, Module, parsed_overrides
from graphc.spec.parameters import Parameter
from graphc.spec.problems import Problems, Stop
from graphc.spec.project import Project, root_of, split_variant
from graphc.spec.scope import POISON, Frame, Outputs, Poisoned
from graphc.spec.tree import Mapping as MappingTree
from graphc.spec.tree import Tree
from graphc.spec.weights import Weights, fill

FLOATS = {"fp32": ir.DataType.FLOAT, "fp16": ir.DataType.FLOAT16, "bf16": ir.DataType.BFLOAT16}
DIMS = "graphc.dims"  # key of the model's metadata_props: ranges of the symbolic dimensions, as JSON


@dataclass(frozen=True)
class Loss:
    """One term of the training objective: weight x value, a scalar."""

    name: str
    value: ir.Value
    weight: float


@dataclass(frozen=True)
class Training:
    """What training adds to a network; its nodes may use the inference nodes' values."""

    inputs: tuple[ir.Value, ...]
    nodes: tuple[ir.Node, ...]
    losses: tuple[Loss, ...]
    optimizer: Optimizer | None


@dataclass(frozen=True)
class WeightSource:
    """A `weights:` section and the parameters it fills: those whose path begins with `prefix`."""

    prefix: str
    weights: Weights
    root: Path
    where: Where | None


@dataclass(frozen=True)
class Network:
    """An expanded spec. Its nodes belong to no graph: `model()` gives a copy."""

    spec: Spec
    emitter: Emitter
    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    nodes: tuple[ir.Node, ...]
    training: Training | None = None
    target: Target = Target()
    weights: tuple[WeightSource, ...] = ()

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.spec.name

    @property
    def parameters(self) -> dict[str, Parameter]:
        """The parameters that inference uses, by path."""
        used = {value for node in self.nodes for value in node.inputs}
        return {path: p for path, p in self.emitter.parameters.items() if p.value in used}

    @property
    def trainable(self) -> dict[str, Parameter]:
        """The parameters that a training step changes, by path."""
        return {path: p for path, p in self.emitter.parameters.items() if p.trainable}

    def fill(self, *, seed: int | None = None, limits: Limits = DEFAULT) -> None:
        """Give every parameter of the inference graph its value; see `weights.fill` for what it raises."""
        ...

    def model(self) -> ir.Model:
        """The inference model, a copy: inputs and outputs by their ids, nodes by their scope paths."""
        ...
