"""The spec language, version 1, as typed models: every section's keys, defaults, bounds and descriptions.

These models validate a spec and are its JSON Schema; nothing else lists a key. Bodies of nodes are kept as
plain data here, because the layer that an item calls decides what the item may say.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import onnx
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from graphc.spec.layers import LayerRef
from graphc.spec.parameters import Precision
from graphc.spec.project import Sha256
from graphc.spec.weights import Weights

VERSION = 1
DEFAULT_OPSET, OLDEST_OPSET = 21, 20  # the layers emit operators as opset 20 or newer defines them

PREVIOUS = "prev"

Severity = Literal["error", "warning", "info"]


class Section(BaseModel):
    """Base of every part of a spec: unknown keys are errors, values are never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# ---------------------------------------------------------------- names and quantities


def _identifier(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("must be letters, digits and '_', so that expressions can use it")
    return name


def _callable(name: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", name):
        raise ValueError("must be snake_case: CamelCase names are ONNX operators")
    if name in RESERVED or name in STRUCTURES or name == PREVIOUS:
        raise ValueError("is a word of the language; choose another name")
    return name


def _id(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) or name == PREVIOUS:
        raise ValueError(f"must be letters, digits, '_' and '-', begin with no digit, and not be '{PREVIOUS}'")
    return name


Identifier = Annotated[str, AfterValidator(_identifier)]
CallableName = Annotated[str, AfterValidator(_callable)]
Id = Annotated[str, AfterValidator(_id)]


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


# A body: its items are checked when they are expanded. For ITEM the schema puts what editors know of one.
ITEM = {"$comment": "an item"}
Items = Annotated[list[Any], WithJsonSchema({"type": "array", "items": ITEM})]


# ---------------------------------------------------------------- sections


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


class Import(Section):
    """Another spec, called like a layer. All its uses share one set of weights."""

    spec: str = Field(description="path relative to this file, optionally with a variant: resnet.yaml@r18")
    params: dict[str, Any] = Field({}, description="parameters of the imported spec")
    until: str | None = Field(None, description="id of the last item that is used")
    frozen: bool = Field(False, description="its weights do not train")
    weights: Weights | None = Field(None, description="its weights, instead of its own weights section")
    sha256: Sha256 | None = Field(None, description="SHA-256 of the imported file")


def _import(value: object) -> object:
    return {"spec": value} if isinstance(value, str) else value


ImportOrPath = Annotated[Import, BeforeValidator(_import, json_schema_input_type=str | Import)]


class Block(Section):
    """A macro, called like a layer. Its body sees its inputs, its parameters, and the spec's parameters."""

    params: dict[Identifier, Any] = Field({}, description="parameters with defaults; null is required")
    let: dict[Identifier, Any] = Field({}, description="derived values, in order; dim(x, 1) reads a size")
    inputs: list[Id] = Field(["x"], description="names of the inputs")
    outputs: list[str] = Field([], description="ids it gives; the last item's output when empty")
    do: Items = Field(description="the items")
    doc: str = Field("", description="what it is")


class Adam(Section):
    """Adam (Kingma and Ba 2015); with decoupled weight decay (Loshchilov and Hutter 2019) as `adamw`."""

    lr: float = Field(1e-3, gt=0, description="step size")
    beta1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    eps: float = Field(1e-8, gt=0, description="added to the root of the second moment")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty for adam, decoupled decay for adamw")


class Sgd(Section):
    """Stochastic gradient descent."""

    lr: float = Field(1e-2, gt=0, description="step size")
    momentum: float = Field(0.0, ge=0, lt=1, description="heavy-ball momentum")
    nesterov: bool = Field(False, description="Nesterov's form of the momentum")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty")


class Optimizer(Section):
    """Exactly one of these."""

    adam: Adam | None = None
    adamw: Adam | None = None
    sgd: Sgd | None = None

    @model_validator(mode="after")
    def _one(self) -> Optimizer:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"must be one of {', '.join(type(self).model_fields)}")
        return self


class Train(Section):
    """What training adds: data, nodes that only training has, losses, and how to step."""

    inputs: dict[Id, str] = Field({}, description="further inputs, such as the target")
    nodes: Items = Field([], description="items that exist only in the training graph")
    losses: Items = Field([], description="items with an optional weight; the total is their weighted sum")
    optimizer: Optimizer | None = None
    batch: int | None = Field(None, ge=1, description="examples in a step")
    steps: int | None = Field(None, ge=1, description="number of steps")
    precision: Precision = "fp32"
    checkpointing: bool | list[str] = Field(False, description="recompute activations; or ids to keep")


class Target(Section):
    """Where the model will run."""

    ep: str = Field("CPUExecutionProvider", description="ONNX Runtime execution provider")
    opset: int = Field(DEFAULT_OPSET, ge=OLDEST_OPSET, le=onnx.defs.onnx_opset_version())
    ir_version: int = Field(10, ge=8, le=int(onnx.IR_VERSION))
    precision: Precision = Field("fp32", description="type of weights and activations; the interface stays")
    threads: int | None = Field(None, ge=1, description="intra-op threads")
    shapes: dict[str, DimOrSize] = Field({}, description="dims that this target narrows or fixes")
    session: dict[str, str | int | float | bool] = Field({}, description="session configuration entries")


class Budgets(Section):
    """Bounds that lint holds a model to, before any pass, at the least, preferred and largest sizes of its dims.

    A training step is held to its bounds at the preferred sizes, with the batch of `train:`.
    """

    model_config = ConfigDict(populate_by_name=False)

    params: Count | None = Field(None, description="floating elements of weights, frozen ones too; no statistics")
    nodes: Count | None = Field(None, description="nodes of all graphs")
    macs: Count | None = Field(None, description="multiply-adds of an inference")
    effective_macs: Count | None = Field(
        None, alias="effective-macs", description="multiply-adds of an inference that are not on padding"
    )
    filter_grad_macs: Count | None = Field(
        None, alias="filter-grad-macs", description="multiply-adds of a training step towards what trains"
    )
    filter_grad_effective_macs: Count | None = Field(
        None, alias="filter-grad-effective-macs", description="those of them that are not on padding"
    )
    input_grad_macs: Count | None = Field(
        None, alias="input-grad-macs", description="multiply-adds of a training step towards activations"
    )
    input_grad_effective_macs: Count | None = Field(
        None, alias="input-grad-effective-macs", description="those of them that are not on padding"
    )
    training_macs: Count | None = Field(
        None, alias="training-macs", description="multiply-adds of a training step, forward and backward"
    )
    training_effective_macs: Count | None = Field(
        None, alias="training-effective-macs", description="those of them that are not on padding"
    )
    activation_memory: Bytes | None = Field(
        None, alias="activation-memory", description="most bytes of inputs and activations that an inference holds"
    )
    peak_memory: Bytes | None = Field(
        None, alias="peak-memory", description="most bytes that an inference holds, weights too"
    )
    training_memory: Bytes | None = Field(
        None, alias="training-memory", description="most bytes that a training step holds, the optimizer's too"
    )
    file_size: Bytes | None = Field(None, alias="file-size", description="bytes of the ONNX file, external data too")
    latency: Seconds | None = Field(None, description="median seconds of an inference, measured where lint runs")


class Lint(Section):
    """Which lints look at this spec, and how strictly."""

    select: list[str] = Field(["all"], description="lints or categories; all")
    ignore: list[str] = Field([], description="lints or categories that are left out")
    per_node_ignores: dict[str, list[str]] = Field(
        {}, alias="per-node-ignores", description="glob of node names: lints"
    )
    budgets: Budgets = Budgets()
    severity: dict[str, Severity] = Field({}, description="lint: error, warning or info")


class NodeLint(Section):
    """An item's own suppression."""

    ignore: list[str] = Field(min_length=1)
    reason: str = ""


PassItem = str | dict[str, dict[str, Any] | None]


class Spec(Section):
    """One network."""

    graphc: int = Field(description=f"language version: {VERSION}")
    name: str = Field("network", description="becomes the graph's name")
    doc: str = Field("", description="what the network is, and from which paper")
    license: str = ""
    source: str = Field("", description="citation key or URL of where the network comes from")
    params: dict[Identifier, Any] = Field({}, description="overridable with --set; null is required")
    let: dict[Identifier, Any] = Field({}, description="derived values, in order, not overridable")
    variants: dict[str, dict[str, Any]] = Field({}, description="named sets of params: spec.yaml@name")
    extends: str | None = Field(None, description="path of a spec that this one is merged over")
    imports: dict[CallableName, ImportOrPath] = {}
    blocks: dict[CallableName, Block] = {}
    dims: dict[Identifier, DimOrSize] = Field({}, description="symbolic dimensions")
    inputs: dict[Id, str] = Field(description='for example {image: "f32[N, 3, H, W]"}', min_length=1)
    outputs: list[str] | dict[str, str] = Field(description="ids, or ids with types", min_length=1)
    nodes: Items = Field(description="the inference graph")
    weights: Weights | None = None
    train: Train | None = None
    targets: dict[str, Target] = {}
    passes: str | list[PassItem] | None = Field(None, description="a pipeline, or a list of passes with options")
    lint: Lint = Lint()


# ---------------------------------------------------------------- items


class ItemKeys(BaseModel):
    """The keys that any item may have beside the one that names its layer."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: Id | None = Field(None, description="names the output")
    from_: Any = Field(None, alias="from", description="input or inputs; the previous item's output if absent")
    when: Any = Field(None, description="the item is there only if this holds")
    repeat: Any = Field(None, description="a count, or {name: list}")
    do: Items | None = Field(None, description="body of a repeat")
    op: str | None = Field(None, description="the layer's name, when it has no arguments")
    weight: Any = Field(None, description="weight of a loss")
    shared: Id | None = Field(None, description="items with the same word here share weights")
    frozen: bool = Field(False, description="weights below do not train")
    stop_gradient: bool = Field(False, description="no gradient flows back through this item")
    lint: NodeLint | None = Field(None, description="suppressions with a reason")
    doc: str = ""


class Residual(Section):
    """y = act(shortcut(x) + scale f(x)) (He et al. 2016; scale: Szegedy et al. 2017)."""

    do: Items = Field(description="f")
    shortcut: Items = Field([], description="items on the short way; empty is the identity")
    scale: float = Field(1.0, description="factor of f(x)")
    act: LayerRef | None = Field(None, description="activation after the addition")


class Branch(Section):
    """Parallel paths over one input, merged."""

    paths: list[Items] = Field(min_length=1, description="bodies; an empty one is the identity")
    merge: Literal["concat", "add", "mul"] = "concat"
    axis: int = Field(1, description="axis of concat")
    act: LayerRef | None = Field(None, description="activation after the merge")


RESERVED = tuple(field.alias or name for name, field in ItemKeys.model_fields.items())
STRUCTURES: dict[str, type[Section]] = {"residual": Residual, "branch": Branch}
