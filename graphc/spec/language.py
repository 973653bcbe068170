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
from graphc.spec.lint_language import Lint, NodeLint
from graphc.spec.parameters import Precision
from graphc.spec.project import Sha256
from graphc.spec.quantities import DimOrSize, Section
from graphc.spec.weights import Weights

VERSION = 1
DEFAULT_OPSET, OLDEST_OPSET = 21, 20  # the layers emit operators as opset 20 or newer defines them

PREVIOUS = "prev"

# ---------------------------------------------------------------- names


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


# A body: its items are checked when they are expanded. For ITEM the schema puts what editors know of one.
ITEM = {"$comment": "an item"}
Items = Annotated[list[Any], WithJsonSchema({"type": "array", "items": ITEM})]


# ---------------------------------------------------------------- sections


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
    imports: dict[CallableName, ImportOrPath] = Field({}, description="specs whose blocks this one calls")
    blocks: dict[CallableName, Block] = Field({}, description="bodies that items call by name")
    dims: dict[Identifier, DimOrSize] = Field({}, description="symbolic dimensions")
    inputs: dict[Id, str] = Field(description='for example {image: "f32[N, 3, H, W]"}', min_length=1)
    outputs: list[str] | dict[str, str] = Field(description="ids, or ids with types", min_length=1)
    nodes: Items = Field(description="the inference graph")
    weights: Weights | None = None
    train: Train | None = None
    targets: dict[str, Target] = Field({}, description="what the model is built for, by name")
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
