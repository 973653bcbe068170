"""An expanded spec: its nodes, parameters and training part, and the ONNX model that they make."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnx_ir as ir

from graphc.errors import Where
from graphc.limits import DEFAULT, Limits
from graphc.metadata import DIMS
from graphc.spec.diagnose import located
from graphc.spec.emit import Emitter
from graphc.spec.language import Optimizer, Spec, Target
from graphc.spec.parameters import Parameter
from graphc.spec.tree import MappingNode, Plain, bare
from graphc.spec.weights import Weights, check_size, fill

if TYPE_CHECKING:
    from graphc.spec.usage import Declared


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
    """A `weights:` section and the parameters it fills: those whose path begins with `prefix`.

    `root` is the folder that its files are named from, `project` the one that they must lie in.
    """

    prefix: str
    weights: Weights
    root: Path
    project: Path
    where: Where


@dataclass(frozen=True)
class Network:
    """An expanded spec. Its nodes belong to no graph: `model()` gives a copy.

    `origins` are the places of the items that make its values.
    """

    spec: Spec
    tree: MappingNode
    emitter: Emitter
    inputs: tuple[ir.Value, ...]
    outputs: tuple[ir.Value, ...]
    nodes: tuple[ir.Node, ...]
    target: Target
    training: Training | None = None
    weights: tuple[WeightSource, ...] = ()
    origins: Mapping[ir.Value, Where] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The spec's name."""
        return self.spec.name

    def place(self, *path: str | int) -> Where:
        """Where the spec says what these keys and indices lead to, for an error: `place("passes", 2)`."""
        return located(self.tree, path)

    def unread(self) -> list[Declared]:
        """What the spec declares and never reads, whatever the variant: parameters, derived values, blocks, ..."""
        from graphc.spec.usage import unread  # which knows how a spec is expanded

        return unread(self.tree)

    def bare(self) -> Iterator[tuple[str, Plain, Where]]:
        """Every key and scalar of the spec that is written without quotes: as written, its value, its place."""
        return bare(self.tree)

    def dead(self) -> Iterator[ir.Node]:
        """The nodes, those of training too, that no output and no loss depends on."""
        training = self.training
        wanted = {*self.outputs, *((loss.value for loss in training.losses) if training else ())}
        dead = []
        for node in reversed([*self.nodes, *(training.nodes if training else ())]):
            if wanted.isdisjoint(node.outputs):
                dead.append(node)
            else:
                wanted.update(value for value in node.inputs if value is not None)
        return reversed(dead)

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
        """Give every parameter of the inference graph its value; raises what `weights.fill` raises."""
        left = self.parameters
        for source in sorted(self.weights, key=lambda source: -len(source.prefix)):
            start = f"{source.prefix}/" if source.prefix else ""
            own = {path: parameter for path, parameter in left.items() if path.startswith(start)}
            left = {path: parameter for path, parameter in left.items() if path not in own}
            if not own and source.prefix:
                continue  # an import that only training uses
            fill(
                [replace(parameter, path=path.removeprefix(start)) for path, parameter in own.items()],
                source.weights,
                root=source.root,
                project=source.project,
                limits=limits,
                seed=seed,
                where=source.where,
            )

    def check_weights(self, limits: Limits = DEFAULT) -> None:
        """Read the weight files, if there are any; weights that would only be initialised are not made.

        Raises what `fill` raises.
        """
        if any(source.weights.file is not None for source in self.weights):
            self.fill(limits=limits)
        else:
            check_size(self.parameters.values(), limits)

    def model(self) -> ir.Model:
        """The inference model, a copy: inputs and outputs carry their ids, nodes their scope paths.

        Parameters and constants that inference does not use are left out; training nodes always are.
        """
        used = {value for node in self.nodes for value in node.inputs}
        stored = [parameter.value for parameter in self.emitter.parameters.values()]
        stored += self.emitter.constants.values()
        view = ir.GraphView(
            self.inputs,
            self.outputs,
            nodes=self.nodes,
            initializers=[value for value in stored if value in used],
            opset_imports={"": self.emitter.opset},
            name=self.name,
        )
        graph = view.clone()
        spec = self.spec
        told = {"name": spec.name, "doc": spec.doc, "license": spec.license, "source": spec.source}
        ranges = {
            name: dim.model_dump(exclude_none=True) | {"min": dim.least, "opt": dim.best}
            for name, dim in spec.dims.items()
            if dim.fixed is None
        }
        told[DIMS] = json.dumps(ranges) if ranges else ""
        return ir.Model(
            graph,
            ir_version=self.target.ir_version,
            producer_name="graphc",
            doc_string=spec.doc or None,
            metadata_props={key: value for key, value in told.items() if value},
        )
