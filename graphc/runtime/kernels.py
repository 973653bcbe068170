"""Which nodes a provider of the installed ONNX Runtime has kernels for, and which leave it for the CPU.

The answer is that installation's own: its registry lists each kernel with its operator, the versions that it covers and
the types that it takes. What no kernel covers but ONNX defines by other operators (a function) is inlined, and float16
that the CPU has no kernel for runs in float32 between two Casts, as ONNX Runtime does it. No session is made.

    found = partition(model, "ort-cuda")
    found.left                 # the nodes that leave the GPU, each with why
    found.copies               # the values that are copied between GPU and CPU in every run
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Literal

import onnx
import onnx_ir as ir

from graphc import walk
from graphc.errors import GraphcError
from graphc.view import schema_of

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
NAMES = {"ort-cpu": CPU, "ort-cuda": CUDA}
OPEN = (1 << 31) - 1  # a kernel without a last version covers only the one that it was written for
SMALL = 100  # elements of integers that ONNX Runtime leaves on the CPU: sizes and indices

Kind = Literal["op", "opset", "type", "cast"]


@dataclass(frozen=True)
class Lack:
    """What a provider lacks to run a node: the operator, its version, a type of it; or that it runs between Casts."""

    kind: Kind
    what: str


@dataclass(frozen=True)
class _Kernel:
    first: int
    last: int
    types: Mapping[str, frozenset[str]]

    def covers(self, version: int) -> bool:
        """Whether it was written for the operator as that opset has it."""
        return self.first == version or (self.first < version <= self.last < OPEN)


@dataclass(frozen=True)
class _Schema:
    """An operator since some opset: the name and the type variable of each input and output."""

    since: int
    inputs: tuple[tuple[str, str], ...]
    outputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Kernels:
    """The kernels of one provider, by domain and operator, and the operators as this ONNX Runtime knows them."""

    provider: str
    kernels: Mapping[tuple[str, str], tuple[_Kernel, ...]] = field(repr=False)
    schemas: Mapping[tuple[str, str], tuple[_Schema, ...]] = field(repr=False)

    @cached_property
    def newest_opset(self) -> int:
        """The newest opset of ONNX's own operators that this ONNX Runtime reads."""
        return max(each.since for (domain, _), found in self.schemas.items() if not domain for each in found)

    def lack(self, node: ir.Node, opsets: Mapping[str, int]) -> Lack | None:
        """Why the provider has no kernel for a node; None where it has, and where no type says that it has not.

        A Constant is no kernel's work.
        """
        name = (node.domain, node.op_type)
        if name == ("", "Constant"):
            return None
        if name not in self.schemas:
            return Lack("op", f"this ONNX Runtime does not know {node.op_type}")
        schema = self._since(name, opsets.get(node.domain, 1))
        if schema is None:
            return None  # it came later than the opset, which is another defect
        return self._versions(name, schema) or self._types(node, schema)

    def inlined(self, node: ir.Node, opsets: Mapping[str, int], lack: Lack) -> Lack | None:
        """What is lacking still of a node without a kernel once the operators that ONNX defines it by stand there."""
        body = _body(node, opsets)
        if body is None or (node.domain, node.op_type) not in self.schemas:
            return lack
        imports = {each.domain: each.version for each in body.opset_import}
        return next(filter(None, (self._inlined(each, imports) for each in body.node)), None)

    def _inlined(self, node: onnx.NodeProto, opsets: Mapping[str, int]) -> Lack | None:
        """What is lacking for a node of a function's body, whose types are not known here."""
        name, opset = (node.domain, node.op_type), opsets.get(node.domain, 1)
        schema = self._since(name, opset)
        if name == ("", "Constant") or schema is None or _is_function(*name, opset):
            return None
        return self._versions(name, schema)

    def _since(self, name: tuple[str, str], opset: int) -> _Schema | None:
        """An operator as that opset has it."""
        known = [each for each in self.schemas.get(name, ()) if each.since <= opset]
        return max(known, key=lambda each: each.since, default=None)

    def _versions(self, name: tuple[str, str], schema: _Schema) -> Lack | None:
        found = self.kernels.get(name, ())
        if not found:
            return Lack("op", f"no kernel for {name[1]}")
        if any(kernel.covers(schema.since) for kernel in found):
            return None
        last = max(kernel.first if kernel.last == OPEN else kernel.last for kernel in found)
        return Lack("opset", f"no kernel for {name[1]} of opset {schema.since}, only up to {last}")

    def _types(self, node: ir.Node, schema: _Schema) -> Lack | None:
        types = list(_typed(node, schema))
        fitting = [each for each in self.kernels[node.domain, node.op_type] if each.covers(schema.since)]
        if any(_takes(kernel, types) for kernel in fitting):
            return None
        shown = ", ".join(dict.fromkeys(text.removeprefix("tensor(").removesuffix(")") for _, _, text in types))
        casts = [(name, variable, text.replace("(float16)", "(float)")) for name, variable, text in types]
        if self.provider == CPU and casts != types and any(_takes(kernel, casts) for kernel in fitting):
            return Lack("cast", f"no kernel for {node.op_type} of float16")
        return Lack("type", f"no kernel for {node.op_type} of {shown}")


def _takes(kernel: _Kernel, types: Iterable[tuple[str, str, str]]) -> bool:
    """Whether a kernel takes values of these types, each under its parameter's name and type variable."""
    for name, variable, text in types:
        allowed = kernel.types.get(variable, kernel.types.get(name))
        if allowed is not None and text not in allowed:
            return False
    return True


def _typed(node: ir.Node, schema: _Schema) -> Iterator[tuple[str, str, str]]:
    """(parameter, type variable, type) of each input and output whose type is known."""
    for values, formals in ((node.inputs, schema.inputs), (node.outputs, schema.outputs)):
        for index, value in enumerate(values):
            if value is not None and value.type is not None and formals:
                yield (*formals[min(index, len(formals) - 1)], type_text(value.type))


def type_text(kind: ir.TypeProtocol) -> str:
    """A type as ONNX's schemas write it: `tensor(float)`, `seq(tensor(int64))`."""
    if isinstance(kind, ir.SequenceType):
        return f"seq({type_text(kind.elem_type)})"
    if isinstance(kind, ir.OptionalType):
        return f"optional({type_text(kind.elem_type)})"
    return f"tensor({kind.dtype.name.lower()})"


def _is_function(domain: str, op_type: str, opset: int) -> bool:
    """Whether ONNX defines an operator by others."""
    schema = _schema(domain, op_type, opset)
    return schema is not None and bool(schema.has_function or schema.has_context_dependent_function)


def _schema(domain: str, op_type: str, opset: int) -> Any:  # the stubs of onnx leave functions out
    return schema_of(op_type, domain, opset)


def _body(node: ir.Node, opsets: Mapping[str, int]) -> onnx.FunctionProto | None:
    """The function that ONNX defines an operator by; an empty one where that depends on what is not known."""
    schema = _schema(node.domain, node.op_type, opsets.get(node.domain, 1))
    if schema is None or not (schema.has_function or schema.has_context_dependent_function):
        return None
    if schema.has_function:
        return onnx.FunctionProto.FromString(schema.function_body.SerializeToString())
    made = b""
    if _is_whole(node, schema, opsets):
        known = (each.type if each is not None else None for each in node.inputs)
        types = [b"" if each is None else ir.serde.serialize_type(each).SerializeToString() for each in known]
        made = schema.get_context_dependent_function(ir.serde.serialize_node(node).SerializeToString(), types)
    return onnx.FunctionProto.FromString(made)


def _is_whole(node: ir.Node, schema: Any, opsets: Mapping[str, int]) -> bool:
    """Whether a node is what its schema says, with types: ONNX dies over the function of one that is not."""
    formal = zip(node.inputs, schema.inputs, strict=False)
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    if any(each is None and parameter.option == single for each, parameter in formal):
        return False
    if any(each is not None and each.type is None for each in node.inputs):
        return False
    context = onnx.checker.C.CheckerContext()
    context.ir_version, context.opset_imports = onnx.IR_VERSION, dict(opsets)
    try:
        onnx.checker.check_node(ir.serde.serialize_node(node), context)
    except (onnx.checker.ValidationError, ir.serde.SerdeError):
        return False
    return not any(each.is_ref() for each in node.attributes.values())


# ---------------------------------------------------------------- the installed registry


def providers() -> Mapping[str, str]:
    """The providers of ONNX Runtime that are targets: what a target is called -> the provider's official name."""
    return NAMES


@cache
def kernels(provider: str) -> Kernels:
    """What the installed ONNX Runtime has for a provider, by its official name.

    Raises GraphcError (run/provider-missing) when this installation has no such provider or does not tell.
    """
    defined, operators = _registry()
    found: dict[tuple[str, str], list[_Kernel]] = {}
    for each in defined:
        if each.provider == provider:
            found.setdefault((each.domain, each.op_name), []).append(_kernel(each))
    if not found:
        import onnxruntime

        available = ", ".join(onnxruntime.get_available_providers())
        raise GraphcError(
            f"this ONNX Runtime tells of no kernels of {provider} (it has: {available})",
            code="run/provider-missing",
            hint="pip install 'graphc[gpu]'" if provider == CUDA else "install the build of ONNX Runtime that has it",
        )
    schemas: dict[tuple[str, str], list[_Schema]] = {}
    for each in operators:
        inputs, outputs = (tuple((f.name, f.typeStr) for f in part) for part in (each.inputs, each.outputs))
        schemas.setdefault((each.domain, each.name), []).append(_Schema(each.since_version, inputs, outputs))
    return Kernels(
        provider,
        {name: tuple(each) for name, each in found.items()},
        {name: tuple(each) for name, each in schemas.items()},
    )


def _kernel(defined: Any) -> _Kernel:
    first, last = defined.version_range
    return _Kernel(first, last, {name: frozenset(allowed) for name, allowed in defined.type_constraints.items()})


@cache
def _registry() -> tuple[list[Any], list[Any]]:
    """Every kernel and every operator that the installation registers; none where it does not tell."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kernels = getattr(state, "get_all_opkernel_def", list)
    operators = getattr(state, "get_all_operator_schema", list)
    return kernels(), operators()


# ---------------------------------------------------------------- partitions


@dataclass(frozen=True)
class Placed:
    """A node and the provider that runs it: the one asked for, or the CPU for want of a kernel (`lack`), or None.

    `nowhere` is what the CPU lacks then, too. A lack of kind "cast" keeps no node from running.
    """

    node: ir.Node
    provider: str | None
    lack: Lack | None = None
    nowhere: Lack | None = None


@dataclass(frozen=True)
class Partition:
    """Where each node of a model runs when a provider is asked for: what it has no kernel for goes to the CPU.

    Arithmetic of sizes (integers of at most SMALL elements), which ONNX Runtime keeps on the CPU whatever is asked for,
    is `free`: it is no node that left, and no copy. `newest_opset` is what this ONNX Runtime reads.
    """

    provider: str
    placed: tuple[Placed, ...]
    free: frozenset[ir.Node]
    newest_opset: int

    @property
    def left(self) -> tuple[Placed, ...]:
        """The nodes that the CPU runs for want of a kernel of the provider."""
        return tuple(each for each in self._counted if each.provider == CPU != self.provider)

    @property
    def unsupported(self) -> tuple[tuple[ir.Node, Lack], ...]:
        """The nodes that no provider runs, with what is lacking."""
        return tuple((each.node, each.nowhere) for each in self.placed if each.nowhere and each.provider is None)

    @property
    def cast(self) -> tuple[tuple[ir.Node, Lack], ...]:
        """The nodes that run in another type, between two Casts."""
        lacks = ((each.node, each.nowhere or each.lack) for each in self.placed)
        return tuple((node, lack) for node, lack in lacks if lack is not None and lack.kind == "cast")

    @cached_property
    def copies(self) -> tuple[ir.Value, ...]:
        """The values that are made by one provider and read by another: each is copied in every run."""
        where = {each.node: each.provider for each in self._counted if each.provider is not None}
        return tuple(
            value
            for node, provider in where.items()
            for value in node.outputs
            if any(where.get(reader, provider) != provider for reader in value.consumers())
        )

    @cached_property
    def count(self) -> int:
        """How many parts of the graph run on the provider, one after the other, with others between them."""
        order = [each.provider == self.provider for each in self._counted if each.provider is not None]
        return sum(here and not before for before, here in zip([False, *order], order, strict=False))

    def rows(self) -> list[tuple[str, str, int, str]]:
        """(provider, operator, how many, why not the one asked for), the most frequent first."""
        counts = Counter(
            (each.provider or "none", each.node.op_type, each.lack.what if each.lack else "") for each in self.placed
        )
        return [(provider, op_type, count, why) for (provider, op_type, why), count in counts.most_common()]

    @property
    def _counted(self) -> Iterator[Placed]:
        return (each for each in self.placed if each.node not in self.free)


def partition(model: ir.Model, target: str) -> Partition:
    """Where each node of a model would run on `ort-cpu`, `ort-cuda` or a provider by its official name.

    Types must have been inferred. Nodes of subgraphs and functions are placed too. Raises GraphcError as `kernels`.
    """
    asked = kernels(NAMES.get(target, target))
    placed = tuple(_placed(node, opsets, asked) for node, opsets in _nodes(model))
    free = frozenset(each.node for each in placed if _is_arithmetic_of_sizes(each.node))
    return Partition(asked.provider, placed, free, asked.newest_opset)


def _nodes(model: ir.Model) -> Iterator[tuple[ir.Node, Mapping[str, int]]]:
    """Every node with its opsets. Of a call of a function of the model only those of its body."""
    for graph, opsets in walk.imports(model):
        yield from ((node, opsets) for node in graph if node.op_identifier() not in model.functions)


def _placed(node: ir.Node, opsets: Mapping[str, int], asked: Kernels) -> Placed:
    """A kernel of the provider first, then one of the CPU; what neither has is inlined, if it is a function."""
    lack = asked.lack(node, opsets)
    if _runs(lack):
        return Placed(node, asked.provider, lack)
    assert lack is not None
    cpu = kernels(CPU)
    nowhere = lack if asked is cpu else cpu.lack(node, opsets)
    if _runs(nowhere):
        return Placed(node, CPU, lack, nowhere)
    assert nowhere is not None
    if asked.inlined(node, opsets, lack) is None:
        return Placed(node, asked.provider)
    nowhere = cpu.inlined(node, opsets, nowhere)
    return Placed(node, CPU if nowhere is None else None, lack, nowhere)


def _runs(lack: Lack | None) -> bool:
    return lack is None or lack.kind == "cast"


def _is_arithmetic_of_sizes(node: ir.Node) -> bool:
    return bool(node.outputs) and all(map(_is_small_integer, node.outputs))


def _is_small_integer(value: ir.Value) -> bool:
    if value.dtype is None or not value.dtype.is_integer() or value.shape is None or len(value.shape) > 1:
        return False
    return all(isinstance(size, int) and size <= SMALL for size in value.shape)
