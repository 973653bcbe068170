"""Reading and writing ONNX models. What is read is untrusted; what is written is either whole or not there.

An initializer that is also a graph input is a default that a caller may override, so it is not a constant and no
rewrite may fold it. Files of IR version 3 *must* list every initializer as an input; graphc takes them at their word
all the same and reads them as IR 4, which says exactly that, unless `freeze_inputs` says that nobody overrides them.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import accumulate
from operator import mul
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx_ir.passes.common import RemoveInitializersFromInputsPass

from graphc import walk
from graphc.errors import GraphcError, collect
from graphc.limits import DEFAULT, Limits
from graphc.proto import carry_function_types, normalise, uncarried
from graphc.scan import scan
from graphc.view import constant_tensor

# It logs the untrusted names of a broken model, and Python prints what no handler takes. We raise instead.
logging.getLogger("onnx_ir").addHandler(logging.NullHandler())

OVERRIDABLE_IR_VERSION = 4  # the first in which an initializer need not be an input
PROTOBUF_BYTES = 2 << 30  # no protobuf can be larger, so nothing above this is read
# Above this much weight, or if they already lie in a file, weights go to a file beside the model.
INLINE_BYTES = 1 << 30
# Smaller tensors stay in the model: shape inference wants to read them.
EXTERNAL_THRESHOLD = 1024
FLOAT_BYTES = 4  # what ConstantOfShape fills with unless told otherwise
MAX_SHOWN = 8  # sizes of a shape in an error
LOST = "graphc.lost"  # in the `meta` of a model that was read


def load(path: str | Path, *, freeze_inputs: bool = False, limits: Limits = DEFAULT) -> ir.Model:
    """Read an ONNX file (any opset; nothing is converted) after checking it in pure Python.

    `freeze_inputs` takes initializers off the inputs, which makes constants of them. Weights in external files are
    mapped, not read. Raises what `read` raises, and one GraphcError that carries what `defects` finds.
    """
    model = read(path, limits)
    found = list(defects(model, limits))
    if found:
        raise collect(found)
    if freeze_inputs:
        RemoveInitializersFromInputsPass()(model)
    return model


def read(path: str | Path, limits: Limits = DEFAULT) -> ir.Model:
    """As `load`, but a model that is well-formed as a file need not be one that anything could run: see `defects`.

    Raises GraphcError: run/file-not-found, run/not-a-model, and what `scan.scan` refuses.
    """
    path = Path(path)
    proto = _parse(path)
    scan(proto, path.parent, limits)
    normalise(proto, limits)
    try:
        model = ir.from_proto(proto)
    except ir.serde.SerdeError as error:
        raise _not_a_model(path, str(_root(error))) from None
    carry_function_types(proto, model)
    model.meta[LOST] = tuple(uncarried(proto))
    _resolve_external(model, path.parent)
    _take_as_stored(model)
    model.ir_version = max(model.ir_version, OVERRIDABLE_IR_VERSION)
    return model


def defects(model: ir.Model, limits: Limits = DEFAULT) -> Iterator[GraphcError]:
    """What keeps a model from being one, each with its node: graph/dangling-input, graph/unsorted, graph/checker-error
    (a Constant of several), security/expansion-bomb (a constant that grows once it runs)."""
    yield from _dangling(model)
    yield from _unsorted(model)
    yield from _odd_constants(model)
    yield from _expanding(model, limits)


def _take_as_stored(model: ir.Model) -> None:
    """An initializer has the type and shape that it is stored with, as ONNX Runtime has it, whatever else is stated."""
    for value in walk.initializers(model):
        if value.const_value is not None and not value.is_graph_input():
            value.dtype = value.const_value.dtype
            value.shape = ir.Shape(value.const_value.shape.numpy())


def lost(model: ir.Model) -> tuple[str, ...]:
    """What the file that the model was read from says besides, and no copy of the model does."""
    found: tuple[str, ...] = model.meta.get(LOST, ())
    return found


def warn_of_lost(model: ir.Model, name: str | Path) -> None:
    """Say that what is made of a model leaves out what is `lost`."""
    for what in lost(model):
        warnings.warn(f"{name} is without {what}: graphc does not carry it over", stacklevel=3)


def save(model: ir.Model, path: str | Path, *, sources: Iterable[str | Path] = (), force: bool = False) -> None:
    """Write a model, in a temporary place beside `path` first and then renamed: a failure leaves nothing.

    Weights of more than INLINE_BYTES in all, or that already lie in a file, go to `<name>.data` beside the model. The
    files in `sources` (what the model was made from), and data files it still reads, are overwritten with `force`
    only, a symbolic link never; a model that is written over with its data file takes that along if it needs none.
    Names and texts of the model are written as they are; what is `lost` is a warning.
    Raises GraphcError: run/write-failed, and what `require_writable` raises.
    """
    target, sources = Path(path), tuple(sources)
    require_writable(target, data_file(target), sources=(*sources, *data_files(model)), force=force)
    if target.exists() and not target.is_file():  # which the renaming below would replace
        raise GraphcError(f"'{target}' is a device, not a file", code="run/usage", hint="name a file")
    try:
        with staged(model, parent=target.parent, name=target.name, inline_bytes=INLINE_BYTES) as written:
            old = {Path(source).resolve() for source in sources}
            put_in_place(written, target, with_data={target.resolve(), data_file(target).resolve()} <= old)
    except OSError as error:
        raise GraphcError(f"cannot write '{target.name}': {error.strerror or error}", code="run/write-failed") from None
    warn_of_lost(model, target)


def put_in_place(written: Path, target: Path, *, with_data: bool = False) -> None:
    """Rename a model and its data file from the folder in which they were `written`, which is beside `target`.

    An old data file goes where there is a new one, or `with_data`, if it is that of the old model. Where a renaming
    fails the old files are as they were. Raises OSError.
    """
    data = data_file(target)
    new, old = written / data.name, written / f"{data.name}.old"
    has_new = new.exists()
    is_replaced = data.is_file() and (with_data or has_new)
    if is_replaced:
        os.replace(data, old)
    try:
        if has_new:
            os.replace(new, data)
        os.replace(written / target.name, target)
    except BaseException:
        if is_replaced:
            os.replace(old, data)
        elif has_new:
            data.unlink(missing_ok=True)
        raise


def require_writable(*files: Path, sources: Iterable[str | Path] = (), force: bool = False) -> None:
    """Raises GraphcError unless these files may be written: ask before the work, not after.

    run/file-not-found: no such directory; security/symlink-or-hardlink: one is a link; run/usage: one is a directory,
    or one of `sources`, which only `force` overwrites.
    """
    read = {Path(source).resolve() for source in sources}
    for file in files:
        if not file.parent.is_dir():
            raise GraphcError(f"no such directory: {file.parent}", code="run/file-not-found")
        if file.is_symlink():
            raise GraphcError(
                f"'{file.name}' is a symbolic link: graphc does not write through links",
                code="security/symlink-or-hardlink",
                hint="write to another name, or remove the link",
            )
        if file.is_dir():
            raise GraphcError(f"'{file}' is a directory", code="run/usage", hint="name a file in it")
        if file.resolve() in read and not force:
            raise GraphcError(
                f"writing '{file.name}' would overwrite what the model is made from",
                code="run/usage",
                hint="write to another name, or give `force`",
            )


def data_file(path: Path) -> Path:
    """Where the weights of the model at `path` lie if they do not lie in it."""
    return path.parent / f"{path.name}.data"


def data_files(model: ir.Model) -> set[Path]:
    """The files in which weights of a model lie."""
    return {Path(t.path) for t in tensors(model) if isinstance(t, ir.ExternalTensor)}


def tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """Every initializer's tensor, those of nested graphs included."""
    return (value.const_value for value in walk.initializers(model) if value.const_value is not None)


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
        put_into(Path(directory), model, name=name, inline_bytes=inline_bytes)
        yield Path(directory)


def put_into(folder: Path, model: ir.Model, *, name: str, inline_bytes: int) -> None:
    """Write a model as `name`, and its data file if it needs one, into an empty folder. Raises OSError."""
    data = f"{name}.data" if needs_data_file(model, inline_bytes) else None
    ir.save(model, folder / name, format="protobuf", external_data=data, size_threshold_bytes=EXTERNAL_THRESHOLD)


def _parse(path: Path) -> onnx.ModelProto:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise GraphcError(f"cannot read {path}: it is no file", code="run/file-not-found")
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
    """Bind external weights to the model's directory. Those of functions and in attributes, small and rare, are read
    now: onnx_ir would not write them beside a copy of the model."""
    for graph in model.graphs():
        ir.external_data.set_base_dir(graph, directory)
    for function in model.functions.values():
        for value in (value for graph in function.subgraphs() for value in graph.initializers.values()):
            value.const_value = None if value.const_value is None else _read(value.const_value, directory)
    holders = [node.attributes for node in walk.nodes(model)]
    holders += [function.attributes for function in model.functions.values()]
    for attributes in holders:
        for name, attribute in attributes.items():
            value = attribute.value
            if isinstance(value, ir.ExternalTensor):
                attributes[name] = ir.AttrTensor(name, _read(value, directory))
            elif isinstance(value, tuple) and any(isinstance(each, ir.ExternalTensor) for each in value):
                attributes[name] = ir.AttrTensors(name, [_read(each, directory) for each in value])


def _read(tensor: ir.TensorProtocol, directory: Path) -> ir.TensorProtocol:
    """The tensor in memory."""
    if not isinstance(tensor, ir.ExternalTensor):
        return tensor
    tensor.base_dir = directory
    return ir.tensor(tensor.numpy(), dtype=tensor.dtype, name=tensor.name)


def _dangling(model: ir.Model) -> Iterator[GraphcError]:
    """Every value that a node takes, or that a graph gives, comes from somewhere."""
    for graph, _ in walk.graphs(model):
        taken = [(f"node '{node.name}' takes", node.name or "", value) for node in graph for value in node.inputs]
        for what, node, value in [*taken, *(("the graph gives", "", value) for value in graph.outputs)]:
            if value is None or value.producer() or value.is_graph_input() or value.is_initializer():
                continue
            yield GraphcError(
                f"{what} '{value.name}', which nothing produces",
                code="graph/dangling-input",
                node=node,
                hint="the model was cut or renamed badly: export it again",
            )


def _unsorted(model: ir.Model) -> Iterator[GraphcError]:
    """Every node stands behind those whose results it, or a graph inside of it, reads; of a circle none can."""
    for graph, _ in walk.graphs(model):
        position: dict[ir.Node | None, int] = {node: index for index, node in enumerate(graph)}
        late = {}
        for index, node in enumerate(graph):
            found = next((value for value in _read_by(node) if position.get(value.producer(), -1) >= index), None)
            if found is not None:
                late[node] = found
        knots = _knots(graph) if late else {}
        for circle in dict.fromkeys(knots.values()):
            names = " → ".join(f"'{node.name}'" for node in (*circle, circle[0])[:MAX_SHOWN])
            more = " → ..." if len(circle) >= MAX_SHOWN else ""
            yield GraphcError(
                f"these nodes wait for each other, and none can run: {names}{more}",
                code="graph/unsorted",
                node=circle[0].name or "",
                hint="one of them reads a wrong value: the model was renamed or merged badly, export it again",
            )
        for node, value in late.items():
            if node not in knots:
                yield GraphcError(
                    f"node '{node.name}' reads '{value.name}', which is made by a later one",
                    code="graph/unsorted",
                    node=node.name or "",
                    hint="ONNX wants nodes in an order in which they can run: sort them",
                )


def _knots(graph: walk.GraphLike) -> dict[ir.Node, tuple[ir.Node, ...]]:
    """Each node that waits for itself, and a circle of its knot, the same for all nodes of that, in their order."""
    import networkx  # it takes long, and most models are sorted

    position = {node: index for index, node in enumerate(graph)}
    edges = ((value.producer(), node) for node in position for value in _read_by(node))
    reads = networkx.DiGraph((producer, node) for producer, node in edges if producer in position)
    found = {}
    for knot in networkx.strongly_connected_components(reads):
        inside = reads.subgraph(knot)
        first = min(knot, key=lambda node: position[node])
        if len(knot) > 1 or reads.has_edge(first, first):
            circle = tuple(node for node, _ in networkx.find_cycle(inside, first))
            found.update(dict.fromkeys(knot, circle))
    return found


def _read_by(node: ir.Node) -> Iterator[ir.Value]:
    """What a node, or a graph inside of it, reads."""
    return (value for each in _with_inner(node) for value in each.inputs if value is not None)


def _with_inner(node: ir.Node) -> Iterator[ir.Node]:
    """A node and those of the graphs inside of it."""
    yield node
    for graph in walk.bodies(node):
        for inner in graph:
            yield from _with_inner(inner)


def _odd_constants(model: ir.Model) -> Iterator[GraphcError]:
    """A Constant has one attribute and one output, which everything that reads constants relies on."""
    for node in walk.nodes(model):
        if node.op_type == "Constant" and not node.domain and (len(node.attributes), len(node.outputs)) != (1, 1):
            yield GraphcError(
                f"Constant '{node.name}' has {len(node.attributes)} attributes and {len(node.outputs)} outputs",
                code="graph/checker-error",
                node=node.name or "",
                hint="it has one of each",
            )


def _expanding(model: ir.Model, limits: Limits) -> Iterator[GraphcError]:
    """A ConstantOfShape of a constant shape is a few bytes that become gigabytes once anything runs it."""
    for node in walk.nodes(model):
        if node.op_type != "ConstantOfShape" or not node.inputs or node.inputs[0] is None:
            continue
        value = node.inputs[0]
        shape = value.const_value if value.const_value is not None else constant_tensor(value)
        if shape is None or not shape.dtype.is_integer():
            continue
        sizes = shape.numpy().ravel().tolist()
        filled = node.attributes.get("value")
        width = filled.value.dtype.itemsize if filled and filled.type == ir.AttributeType.TENSOR else FLOAT_BYTES
        if 0 not in sizes and any(count * width > limits.weight_bytes for count in accumulate(sizes, mul)):
            yield GraphcError(
                f"node '{node.name}' makes a constant of shape {sizes[:MAX_SHOWN]}",
                code="security/expansion-bomb",
                node=node.name or "",
            )
