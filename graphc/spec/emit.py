"""The Emitter: what a layer writes ONNX nodes with.

It knows the scope path (which becomes node, value and weight names), the opset, and the shape of every value. A
dimension that has a range in the spec is tracked at several *points* (min, opt, max and neighbours): a size is
static when all points agree, two shapes match when they match at every point, and a mismatch is reported with the
concrete sizes of the point where it shows. ONNX's own inference does the work at each point, so every operator of
the standard, wrapped by a layer or not, has shapes here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

import numpy as np
import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.inference import InferenceError, Operand, infer
from graphc.metadata import CONSTANT
from graphc.spec.parameters import Init, Parameter, Role

if TYPE_CHECKING:
    from graphc.spec.layers import LayerRef

Point = Mapping[str, int]  # one assignment of every symbolic dimension
Sizes = tuple[int, ...]

MAX_ATTRIBUTES = 4096  # that are remembered
_attributes: dict[tuple[str, str], ir.Attr] = {}


@dataclass(frozen=True)
class Scope:
    """Where emission stands.

    `parameters` is the path under which weights are named; `sharing` where that path is `shared` by several uses.
    """

    path: str = ""
    parameters: str = ""
    source: str = ""
    frozen: bool = False
    sharing: str = ""
    used: dict[str, int] = field(default_factory=dict, compare=False)  # label: the number it was given last


class Emitter:
    """Writes the nodes of one network. Values are plain `onnx_ir.Value`s."""

    def __init__(
        self,
        points: Sequence[Point] = ({},),
        *,
        opset: int = 21,
        float_type: ir.DataType = ir.DataType.FLOAT,
        max_nodes: int = 20_000,
        bounded: bool = True,
    ) -> None:
        self.points = tuple(points)
        self.bounded = bounded  # whether every dimension has a largest size
        columns = {name: tuple(point[name] for point in self.points) for name in self.points[0]}
        self._ranged = {name: column for name, column in columns.items() if len(set(column)) > 1}
        self.opset = opset
        self.float_type = float_type
        self.max_nodes = max_nodes
        self.nodes: list[ir.Node] = []
        self.parameters: dict[str, Parameter] = {}
        self.constants: dict[str, ir.Value] = {}
        self._operands: dict[ir.Value, tuple[Operand, ...]] = {}  # one per point
        self._sizes: dict[ir.Value, tuple[Sizes, ...]] = {}  # one per point, where all are known
        self._scopes: list[Scope] = [Scope()]
        self._owners: dict[str, str] = {}  # of weights: what shares them, if anything does

    # ---------------------------------------------------------------- where we are

    @property
    def path(self) -> str:
        """The scope path of the item that is being emitted."""
        return self._scopes[-1].path

    @contextmanager
    def scope(self, label: str, *, source: str = "", shared: str | None = None, frozen: bool = False) -> Iterator[None]:
        """Emit below `label`. `shared` names the weights after that path instead, so that a second use finds them."""
        outer = self._scopes[-1]
        path = _join(outer.path, self.unique(label))
        parameters = shared if shared is not None else _join(outer.parameters, path.rpartition("/")[2])
        sharing = shared if shared is not None else outer.sharing
        self._scopes.append(Scope(path, parameters, source or outer.source, frozen or outer.frozen, sharing))
        try:
            yield
        finally:
            self._scopes.pop()

    def unique(self, label: str) -> str:
        """The label, numbered if this scope has used it before: `conv`, `conv_2`, ..."""
        used, name = self._scopes[-1].used, label
        while name in used:
            used[label] += 1
            name = f"{label}_{used[label]}"
        used[name] = 1
        return name

    # ---------------------------------------------------------------- shapes

    def sizes(self, x: ir.Value) -> tuple[Sizes, ...]:
        """The shape of `x` at every point. Raises GraphcError (spec/unknown-shape) if ONNX could not infer it."""
        if x not in self._sizes:
            self.fail(
                f"the shape of '{x.name}' is not known here",
                code="spec/unknown-shape",
                hint="its operator gives a shape that depends on data; reshape it to a known shape first",
            )
        return self._sizes[x]

    def rank(self, x: ir.Value) -> int:
        """Number of axes of `x`."""
        return len(self.sizes(x)[0])

    def size(self, x: ir.Value, axis: int) -> int:
        """The size of one axis. Raises GraphcError (spec/dim-not-fixed) when it differs between points."""
        rank = self.rank(x)
        if not -rank <= axis < rank:
            self.fail(f"'{x.name}' has {rank} axes, so it has no axis {axis}", code="spec/shape-mismatch")
        found = {shape[axis] for shape in self.sizes(x)}
        if len(found) > 1:
            self.fail(
                f"axis {axis % rank} of '{x.name}' has no fixed size: it ranges over {min(found)}..{max(found)}",
                code="spec/dim-not-fixed",
                hint="give that dimension one value in 'dims:', or use a layer that accepts any size",
            )
        return found.pop()

    def shape(self, x: ir.Value) -> Sizes:
        """All sizes of `x`, each static; see `size`."""
        return tuple(self.size(x, axis) for axis in range(self.rank(x)))

    def show(self, x: ir.Value) -> str:
        """The shape of `x` for an error message: sizes where static, names or ranges where not."""
        columns = zip(*self.sizes(x), strict=True)
        shown = [
            f"{min(column)}..{max(column)}" if label is None else str(label)
            for label, column in zip(self.labels(x), columns, strict=True)
        ]
        return f"({', '.join(shown)})"

    @property
    def ranged(self) -> tuple[str, ...]:
        """The dimensions that have a range."""
        return tuple(self._ranged)

    def labels(self, x: ir.Value) -> tuple[int | str | None, ...]:
        """Per axis of `x`: its static size, the symbolic dimension it equals (`H`, `2*H`), or None."""
        return tuple(self._label(column) for column in zip(*self.sizes(x), strict=True))

    def _label(self, column: Sizes) -> int | str | None:
        if len(set(column)) == 1:
            return column[0]
        for name, dim in self._ranged.items():
            if factor := _factor(column, dim):
                return name if factor == 1 else f"{factor}*{name}"
            if divisor := _factor(dim, column):
                return f"{name}/{divisor}"
        return None

    # ---------------------------------------------------------------- making values

    def input(self, name: str, dtype: ir.DataType, sizes: Sequence[Sizes]) -> ir.Value:
        """A graph input with one shape per point."""
        value = ir.Value(name=name, type=ir.TensorType(dtype))
        return self._keep(value, [Operand(value.type, ir.Shape(shape)) for shape in sizes])

    def parameter(
        self,
        name: str,
        shape: Sequence[int],
        role: Role = "weight",
        *,
        init: Init | None = None,
        fan_in: int = 1,
        fan_out: int = 1,
        trainable: bool = True,
        dtype: ir.DataType | None = None,
    ) -> ir.Value:
        """A weight of this layer, `<scope>/<name>`; where weights are shared, every use gets the same one."""
        scope = self._scopes[-1]
        path, wanted = _join(scope.parameters, name), tuple(int(d) for d in shape)
        old = self.parameters.get(path)
        if old is not None:
            if not scope.sharing or self._owners[path] != scope.sharing:
                self.fail(
                    f"two layers name their weights '{path}'",
                    code="spec/duplicate-id",
                    hint="give one of them another id, or both the same 'shared:'",
                )
            if old.shape != wanted:
                self.fail(
                    f"'{path}' is shared, but has shape {old.shape} at its first use and {wanted} here",
                    code="spec/weight-shape",
                    hint="uses that share weights need inputs with the same channels",
                )
            return old.value
        value = self._fixed(path, dtype or self.float_type, wanted)
        trains = trainable and not scope.frozen
        self._owners[path] = scope.sharing
        self.parameters[path] = Parameter(path, value, wanted, role, init, fan_in, fan_out, trains)
        return value

    def constant(self, content: Any, dtype: ir.DataType | None = None) -> ir.Value:
        """A constant that is not a weight: a Reshape target, a pad width, a scalar.

        Integers become INT64 and floats the network's float type unless `dtype` says otherwise. Equal constants
        are one initializer.
        """
        array = np.asarray(content)
        wanted = dtype or (
            self.float_type
            if array.dtype.kind == "f"
            else ir.DataType.INT64
            if array.dtype.kind in "iu"
            else ir.DataType.from_numpy(array.dtype)
        )
        with np.errstate(over="ignore"):  # said below in better words
            given, array = array, array.astype(wanted.numpy())
        if wanted.is_floating_point() and np.isfinite(given).all() and not np.isfinite(array).all():
            self.fail(f"{np.abs(given).max()} is beyond {wanted.name.lower()}", code="numerics/fp16-overflow")
        key = f"{wanted.name.lower()}:{array.shape}:{array.tobytes().hex()}"
        if key not in self.constants:
            value = self._fixed(f"const_{len(self.constants)}", wanted, array.shape)
            value.const_value = ir.tensor(array, dtype=wanted, name=value.name)
            self._keep(value, [Operand(value.type, ir.Shape(array.shape), array)] * len(self.points))
            value.metadata_props[CONSTANT] = "true"
            self.constants[key] = value
        return self.constants[key]

    def _fixed(self, name: str, dtype: ir.DataType, shape: Sizes) -> ir.Value:
        value = ir.Value(name=name, type=ir.TensorType(dtype))
        return self._keep(value, [Operand(value.type, ir.Shape(shape))] * len(self.points))

    @overload
    def op(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        name: str | None = None,
        outputs: Literal[1] = 1,
        domain: str = "",
        **attributes: Any,
    ) -> ir.Value: ...
    @overload
    def op(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        name: str | None = None,
        outputs: int,
        domain: str = "",
        **attributes: Any,
    ) -> tuple[ir.Value, ...]: ...
    def op(
        self,
        op_type: str,
        *inputs: ir.Value | None,
        name: str | None = None,
        outputs: int = 1,
        domain: str = "",
        **attributes: Any,
    ) -> Any:
        """Emit one ONNX operator; attributes that are None are left out.

        The node that carries the layer's own work takes the layer's path as its name; every other node of the
        layer is given a `name` and becomes `<scope>/<name>`. Returns the output value, or a tuple of them when
        `outputs` is not 1. Raises GraphcError (spec/shape-mismatch) when ONNX refuses the inputs.
        """
        if len(self.nodes) >= self.max_nodes:
            self.fail(f"the network has more than {self.max_nodes} nodes", code="spec/limit-exceeded")
        attrs = {key: _attribute(key, value) for key, value in attributes.items() if value is not None}
        while inputs and inputs[-1] is None:
            inputs = inputs[:-1]
        operands = self._infer_all(op_type, inputs, attrs, outputs, domain)
        path = self._node_name(name)
        values = [
            ir.Value(name=path if outputs == 1 else f"{path}.{index}", type=operands[0][index].type)
            for index in range(outputs)
        ]
        for index, value in enumerate(values):
            self._keep(value, [per_point[index] for per_point in operands])
        source = self._scopes[-1].source
        self.nodes.append(ir.Node(domain, op_type, inputs, attrs, outputs=values, name=path, doc_string=source or None))
        return values[0] if outputs == 1 else tuple(values)

    def _keep(self, value: ir.Value, operands: Sequence[Operand]) -> ir.Value:
        """Remember what is known of a value at each point; its declared shape follows from that."""
        self._operands[value] = tuple(operands)
        sizes = [_static(operand.shape) for operand in operands]
        if None not in sizes:
            self._sizes[value] = tuple(each for each in sizes if each is not None)
            value.shape = ir.Shape(self.labels(value))
        return value

    def _node_name(self, name: str | None) -> str:
        if name is not None:
            return _join(self.path, self.unique(name))
        return _join(self.path, self.unique("").removeprefix("_"))  # a number, which no item is called

    def _infer_all(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attrs: Mapping[str, ir.Attr],
        outputs: int,
        domain: str,
    ) -> list[list[Operand]]:
        found = []
        for point in range(len(self.points)):
            operands = [None if x is None else self._operands[x][point] for x in inputs]
            try:
                found.append(infer(op_type, operands, attrs, outputs=outputs, opset=self.opset, domain=domain))
            except InferenceError as error:
                shapes = ", ".join("none" if o is None or o.shape is None else str(o.shape) for o in operands)
                self.fail(f"{op_type} does not accept {shapes}: {error}", code="spec/shape-mismatch")
        return found

    def layer(self, ref: LayerRef, *inputs: ir.Value, name: str | None = None) -> ir.Value:
        """Emit another layer of one output below this one: `g.layer("relu", x)`, `g.layer({"leaky_relu": 0.2}, x)`.

        Raises GraphcError (spec/wrong-arity) for a layer that takes another number of inputs or gives more outputs.
        """
        from graphc.spec.layers import emitted, make

        made = make(ref)
        least, most = made.arity()
        if len(inputs) < least or (most is not None and len(inputs) > most):
            self.fail(f"'{made.layer_name()}' cannot stand here: it takes other inputs", code="spec/wrong-arity")
        with self.scope(name or made.layer_name()):
            result = emitted(made, self, *inputs)
        if not isinstance(result, ir.Value):
            self.fail(f"'{made.layer_name()}' cannot stand here: it gives several outputs", code="spec/wrong-arity")
        return result

    def fail(self, message: str, *, code: str = "spec/bad-value", hint: str = "") -> NoReturn:
        """Refuse: raises GraphcError; the expansion adds the place in the spec."""
        raise GraphcError(message, code=code, hint=hint)


def _join(path: str, label: str) -> str:
    return f"{path}/{label}" if path and label else path or label


def _factor(product: Sizes, of: Sizes) -> int:
    """What `of` is multiplied by at every point to give `product`, or 0."""
    factor = product[0] // max(of[0], 1)
    return factor if all(p == factor * n for p, n in zip(product, of, strict=True)) else 0


def _attribute(name: str, value: Any) -> ir.Attr:
    """A Python value as an attribute. Plain ones are remembered: onnx_ir takes long to tell a value's type."""
    items = value if isinstance(value, (list, tuple)) else (value,)
    if not all(isinstance(item, (int, float, str)) for item in items):
        return ir.convenience.convert_attribute(name, value)
    key = name, repr(value)  # 1, 1.0 and True are equal, and so are 0.0 and -0.0
    found = _attributes.get(key)
    if found is None:
        if len(_attributes) >= MAX_ATTRIBUTES:
            _attributes.clear()
        found = _attributes[key] = ir.convenience.convert_attribute(name, value)
    return found


def _static(shape: ir.Shape | None) -> Sizes | None:
    """The sizes of a shape that has no symbolic dimension, else None."""
    if shape is None:
        return None
    sizes = tuple(size for size in shape.dims if isinstance(size, int))
    return sizes if len(sizes) == len(shape.dims) else None
