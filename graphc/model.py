"""Reading and writing ONNX models. What is read is untrusted; what is written is either whole or not there.

An initializer that is also a graph input is a default that a caller may override, so it is not a constant and
no rewrite may fold it. Files of IR version 3 *must* list every initializer as an input; graphc takes them at
their word all the same and reads them as IR 4, which says exactly that, unless `freeze_inputs` declares that
nobody overrides them.
"""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx_ir.passes.common import RemoveInitializersFromInputsPass

from graphc.errors import GraphcError
from graphc.limits import DEFAULT, Limits
from graphc.scan import scan

# It logs the untrusted names of a broken model, and Python prints what no handler takes. We raise instead.
logging.getLogger("onnx_ir").addHandler(logging.NullHandler())

OVERRIDABLE_IR_VERSION = 4  # the first in which an initializer need not be an input
PROTOBUF_BYTES = 2 << 30  # no protobuf can be larger, so nothing above this is read
# Above this much weight, or if they already lie in a file, weights go to a file beside the model.
INLINE_BYTES = 1 << 30
# Smaller tensors stay in the model: shape inference wants to read them.
EXTERNAL_THRESHOLD = 1024


def load(path: str | Path, *, freeze_inputs: bool = False, limits: Limits = DEFAULT) -> ir.Model:
    """Read an ONNX file (any opset; nothing is converted) after checking it in pure Python.

    `freeze_inputs` takes initializers off the inputs, which makes constants of them. Weights in external
    files are mapped, not read. Raises GraphcError: run/file-not-found, run/not-a-model, graph/dangling-input,
    and what `scan.scan` refuses.
    """
    path = Path(path)
    proto = _parse(path)
    scan(proto, path.parent, limits)
    try:
        model = ir.from_proto(proto)
    except ir.serde.SerdeError as error:
        raise _not_a_model(path, str(_root(error))) from None
    _resolve_external(model, path.parent)
    _check_wiring(model)
    _check_expansion(model, limits)
    model.ir_version = max(model.ir_version, OVERRIDABLE_IR_VERSION)
    if freeze_inputs:
        RemoveInitializersFromInputsPass()(model)
    return model


def save(model: ir.Model, path: str | Path, *, sources: Iterable[str | Path] = (), force: bool = False) -> None:
    """Write a model, in a temporary place beside `path` first and then renamed: a failure leaves nothing.

    Weights of more than INLINE_BYTES in all, or that already lie in a file, go to `<name>.data` beside the
    model. The files in `sources` (what the model was made from), and data files it still reads, are
    overwritten with `force` only, a symbolic link never. Names and texts of the model are written as they
    are. Raises GraphcError: run/usage, run/file-not-found (no such directory), run/write-failed,
    security/symlink-or-hardlink.
    """
    target = Path(path)
    data = target.with_name(f"{target.name}.data")
    _require_writable(target, data, _read_files(model) | {Path(source) for source in sources}, force)
    try:
        with staged(model, parent=target.parent, name=target.name, inline_bytes=INLINE_BYTES) as written:
            model_last = sorted(written.iterdir(), key=lambda file: file.name == target.name)
            for file in model_last:
                os.replace(file, target.with_name(file.name))
    except OSError as error:
        raise GraphcError(f"cannot write '{target.name}': {error.strerror or error}", code="run/write-failed") from None


def tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """Every initializer's tensor, those of nested graphs included."""
    for graph in model.graphs():
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value.const_value


def needs_data_file(model: ir.Model, inline_bytes: int) -> bool:
    """Whether the weights exceed `inline_bytes`, or lie in a file that a copy of the model would not find."""
    found = list(tensors(model))
    return any(isinstance(t, ir.ExternalTensor) for t in found) or sum(t.nbytes for t in found) > inline_bytes


@contextmanager
def staged(
    model: ir.Model, *, parent: Path | None = None, name: str = "model.onnx", inline_bytes: int
) -> Iterator[Path]:
    """A temporary directory (in `parent`) with the model as `name` and its data file if it needs one."""
    with tempfile.TemporaryDirectory(prefix=".graphc-", dir=parent) as directory:
        data = f"{name}.data" if needs_data_file(model, inline_bytes) else None
        ir.save(
            model,
            Path(directory) / name,
            format="protobuf",
            external_data=data,
            size_threshold_bytes=EXTERNAL_THRESHOLD,
        )
        yield Path(directory)


def _parse(path: Path) -> onnx.ModelProto:
    try:
        with path.open("rb") as file:
            proto: onnx.ModelProto = onnx.ModelProto.FromString(file.read(PROTOBUF_BYTES))
    except FileNotFoundError:
        raise GraphcError(f"no such file: {path}", code="run/file-not-found") from None
    except OSError as error:
        raise GraphcError(f"cannot read {path}: {error.strerror}", code="run/file-not-found") from None
    except DecodeError as error:
        raise _not_a_model(path, str(error)) from None
    if not proto.HasField("graph"):
        raise _not_a_model(path, "it holds no graph")
    return proto


def _not_a_model(path: Path, why: str) -> GraphcError:
    return GraphcError(f"{path} is not a valid ONNX model: {why[:200]}", code="run/not-a-model")


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _resolve_external(model: ir.Model, directory: Path) -> None:
    """Bind external tensors to the model's directory; those in attributes, small and rare, are read now."""
    for graph in (*model.graphs(), *(function.graph for function in model.functions.values())):
        ir.external_data.set_base_dir(graph, directory)
        for node in graph:
            for name, attribute in node.attributes.items():
                tensor = attribute.value
                if isinstance(tensor, ir.ExternalTensor):
                    node.attributes[name] = ir.AttrTensor(
                        name, ir.tensor(tensor.numpy(), dtype=tensor.dtype, name=tensor.name)
                    )


def _check_wiring(model: ir.Model) -> None:
    """Every value that a node takes, or that a graph gives, comes from somewhere."""
    for graph in (*model.graphs(), *(function.graph for function in model.functions.values())):
        taken = [(f"node '{node.name}' takes", value) for node in graph for value in node.inputs]
        for what, value in [*taken, *(("the graph gives", value) for value in graph.outputs)]:
            if value is None or value.producer() or value.is_graph_input() or value.is_initializer():
                continue
            raise GraphcError(
                f"{what} '{value.name}', which nothing produces",
                code="graph/dangling-input",
                hint="the model was cut or renamed badly: export it again",
            )


def _check_expansion(model: ir.Model, limits: Limits) -> None:
    """A ConstantOfShape of a constant shape is a few bytes that become gigabytes once anything runs it."""
    for graph in model.graphs():
        for node in graph:
            if node.op_type != "ConstantOfShape" or not node.inputs or node.inputs[0] is None:
                continue
            shape = ir.convenience.get_const_tensor(node.inputs[0])
            if shape is not None and math.prod(shape.numpy().tolist()) > limits.weight_bytes:
                raise GraphcError(
                    f"node '{node.name}' makes a constant of shape {shape.numpy().tolist()}",
                    code="security/expansion-bomb",
                )


def _read_files(model: ir.Model) -> set[Path]:
    return {Path(t.path) for t in tensors(model) if isinstance(t, ir.ExternalTensor)}


def _require_writable(target: Path, data: Path, sources: set[Path], force: bool) -> None:
    if not target.parent.is_dir():
        raise GraphcError(f"no such directory: {target.parent}", code="run/file-not-found")
    for file in (target, data):
        if file.is_symlink():
            raise GraphcError(
                f"'{file.name}' is a symbolic link: graphc does not write through links",
                code="security/symlink-or-hardlink",
                hint="write to another name, or remove the link",
            )
    if target.is_dir():
        raise GraphcError(f"'{target}' is a directory", code="run/usage", hint="name a file in it")
    read = {source.resolve() for source in sources}
    if not force and {target.resolve(), data.resolve()} & read:
        raise GraphcError(
            f"writing '{target.name}' would overwrite what the model is made from",
            code="run/usage",
            hint="write to another name, or give --force",
        )
