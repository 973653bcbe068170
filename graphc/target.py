"""What a target can run, and how it prices nodes that it cannot: a YAML file, one of `graphc/targets` or one's own.

A target allows operators. A form that it does not allow has a penalty: how far it is from what is allowed, so that a
rewrite which takes away a dilation and leaves groups is a step on the way. Where the penalties of what would be born
and what would die are equal, the price is that of `graphc.price`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import onnx
import onnx_ir as ir
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from graphc import price, walk
from graphc.limits import DEFAULT, Limits
from graphc.spec import shipped
from graphc.splice import Proposal
from graphc.view import View

FOLDER = Path(__file__).parent / "targets"
_INTEGERS = (onnx.defs.OpSchema.AttrType.INT, onnx.defs.OpSchema.AttrType.INTS)
Floats = Literal["float16", "float32", "float64", "bfloat16", "complex64", "complex128"]
Integers = Literal["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
ElementType = Floats | Integers | Literal["bool", "string"]
INDEX_RANK = 1  # shape arithmetic is on integers of at most this rank


class Form(BaseModel):
    """A form that is not allowed of an operator that is: an integer attribute (each of several) above `most`, or a text
    that is not one of `texts`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    op: str
    attribute: str
    most: int = 1
    texts: tuple[str, ...] = ()
    penalty: PositiveInt
    what: str

    @model_validator(mode="after")
    def _is_known(self) -> Form:
        schema = onnx.defs.get_schema(self.op) if onnx.defs.has(self.op) else None
        declared = schema.attributes.get(self.attribute) if schema is not None else None
        kinds = (onnx.defs.OpSchema.AttrType.STRING,) if self.texts else _INTEGERS
        if declared is None or declared.type not in kinds:
            raise ValueError(f"{self.op} has no attribute '{self.attribute}' of that kind")
        return self

    def matches(self, view: View) -> bool:
        """Whether a node of the operator is of this form."""
        found = view.attr(self.attribute)
        values = found if isinstance(found, tuple) else () if found is None else (found,)
        return any(value not in self.texts if self.texts else value > self.most for value in values)


@dataclass(frozen=True)
class Leftover:
    """A node that the target does not run: its name, its operator, what is not allowed of it, and `why` it is left."""

    node: str
    op_type: str
    what: str
    why: str = ""


class Target(BaseModel):
    """What a target allows.

    `allows` are the operators that it runs, `shape_arithmetic` those that it runs on integers of rank 0 and 1 (sizes
    known at run time only), `forms` what it does not run of allowed ones, `penalties` of single operators (`penalty` of
    all others), `pipeline` what brings a model there. Only lints ask for `types`, the element types that it knows (none
    stated: any), `opset`, the newest that it reads (None: any), and `dynamic`, whether sizes may be left open.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    doc: str
    pipeline: str
    allows: Annotated[frozenset[str], Field(min_length=1)]
    shape_arithmetic: frozenset[str] = frozenset()
    forms: tuple[Form, ...] = ()
    penalties: dict[str, PositiveInt] = {}
    penalty: PositiveInt = 1000
    types: frozenset[ElementType] = frozenset()
    opset: PositiveInt | None = None
    dynamic: bool = True

    def forbids(self, node: ir.Node, opset: int) -> Iterator[tuple[int, str]]:
        """(penalty, what is not allowed) for each reason not to run the node."""
        if node.domain or node.op_type not in self.allows:
            if not self._is_shape_arithmetic(node):
                yield self.penalties.get(node.op_type, self.penalty), node.op_type
            return
        forms = [form for form in self.forms if form.op == node.op_type]
        if forms:
            view = View(node, opset)
            yield from ((form.penalty, form.what) for form in forms if form.matches(view))

    def _is_shape_arithmetic(self, node: ir.Node) -> bool:
        return node.op_type in self.shape_arithmetic and not node.domain and all(map(_is_index, node.outputs))

    def penalty_of(self, nodes: Iterable[ir.Node], opset: int) -> int:
        """The sum of the penalties of some nodes; 0 where the target runs all of them."""
        return sum(penalty for node in nodes for penalty, _ in self.forbids(node, opset))

    def cheaper(self, proposal: Proposal, opset: int) -> bool:
        """Whether a proposal is a step towards what the target runs, or as near to it and cheaper."""
        before, after = (self.penalty_of(nodes, opset) for nodes in (proposal.dying, proposal.born))
        return after < before or (after == before and price.cheaper(proposal, opset))

    def leftovers(self, model: ir.Model) -> tuple[Leftover, ...]:
        """Every node of the model, of subgraphs and functions too, that the target does not run."""
        found = []
        for graph, opset in walk.graphs(model):
            for node in graph:
                reasons = [what for _, what in self.forbids(node, opset)]
                if reasons:
                    found.append(Leftover(node.name or "", node.op_type, " and ".join(reasons)))
        return tuple(found)


def targets() -> dict[str, Path]:
    """The shipped targets: name -> file."""
    return shipped.files(FOLDER)


def is_target(name: str | Path) -> bool:
    """Whether this is the name of a shipped target or of a file, and not of one of a spec's own targets."""
    return str(name) in targets() or shipped.is_file(name)


def find_target(name: str | Path, limits: Limits = DEFAULT) -> Target:
    """A shipped target by its name, or that of a YAML file.

    Raises GraphcError: spec/unknown-target, run/usage for a file that is no target, and what reading it raises.
    """
    path = shipped.path_of(name, FOLDER, "target", "spec/unknown-target")
    hint = f"it has {', '.join(Target.model_fields)}, as {FOLDER / 'portable.yaml'} has"
    return shipped.read_as(Target, path, limits, kind="target", hint=hint)


def with_reasons(leftovers: Sequence[Leftover], steps: Iterable[Any]) -> tuple[Leftover, ...]:
    """Each with what the rewrites of a pipeline (its `Step`s) said where they were refused at that node, if any did.

    What a fold says is no reason for a form to be left, if a rewrite that brings nodes to another form says something.
    """
    forms: dict[str, dict[str, None]] = {}
    folds: dict[str, dict[str, None]] = {}
    for step in steps:
        for site in step.refused:
            said = folds if step.improves else forms
            said.setdefault(site.node, {})[f"{step.name}: {site.reason}"] = None
    said = folds | forms
    return tuple(replace(left, why="; ".join(said.get(left.node, ()))) for left in leftovers)


def _is_index(value: ir.Value) -> bool:
    """Whether a value holds sizes or indices: integers or booleans of rank 0 or 1."""
    integer = value.dtype is not None and not value.dtype.is_floating_point()
    return integer and value.shape is not None and len(value.shape) <= INDEX_RANK
