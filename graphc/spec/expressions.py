"""Evaluates the text after `=` in a spec: small, total arithmetic over named values.

Python's own parser reads the text and a whitelist walks it: what has no `visit_` method here is refused, so
there is no attribute access, import or assignment, and no way to make a large value. Numbers are Python's,
except that `/` of two integers is an integer when it comes out even, so `=ch / 2` is a channel count. `true`,
`false` and `null` may be spelled as in YAML or as in Python.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NoReturn, TypeAlias, TypeGuard

from graphc.errors import GraphcError, suggest

Value: TypeAlias = "bool | int | float | str | list[Value] | None"
Function: TypeAlias = Callable[..., object]

MAX_CHARACTERS = 256
MAX_DEPTH = 24  # of an expression, and of lists of lists
MAX_EXPONENT = 64
MAX_RESULT = 2**53  # float64 counts exactly up to here
MAX_ITEMS = 4096  # of a list, those of its lists included
WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}


def evaluate(text: str, names: Mapping[str, object], functions: Mapping[str, Function] | None = None) -> Value:
    """The value of an expression, given without its leading `=`.

    `names` may also hold values that are no `Value`; those can only be passed to one of `functions`, which
    the caller adds to the functions of this module. Raises GraphcError without a place (the caller knows it):
    spec/unknown-name for a name or a function that does not exist, else spec/bad-expression.
    """
    return _Evaluation(names, functions or {}).visit(_parse(text))


def names_in(text: str) -> set[str]:
    """The names that an expression mentions, those of functions too; none where the text is no expression."""
    try:
        return {node.id for node in ast.walk(_parse(text)) if isinstance(node, ast.Name)}
    except GraphcError:
        return set()


@lru_cache(maxsize=1024)
def _parse(text: str) -> ast.expr:
    if len(text) > MAX_CHARACTERS:
        _refuse(f"an expression has at most {MAX_CHARACTERS} characters", hint="split it with 'let'")
    try:
        with warnings.catch_warnings(action="ignore"):  # advice on Python programs, such as that "5 is 5" is odd
            tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        _refuse(f"'{text}' is not an expression: {error.msg}", hint=ALLOWED)
    except (ValueError, MemoryError, RecursionError):  # a NUL; nesting that is too deep for Python's parser
        _refuse(f"'{text}' is not an expression", hint=ALLOWED)
    if _depth(tree) > MAX_DEPTH:
        _refuse(f"an expression has at most {MAX_DEPTH} levels", hint="split it with 'let'")
    return tree


def _depth(tree: ast.AST) -> int:
    levels, level = 0, [tree]
    while level:
        children = (child for node in level for child in ast.iter_child_nodes(node))
        levels, level = levels + 1, [child for child in children if isinstance(child, ast.expr)]
    return levels


class _Evaluation(ast.NodeVisitor):
    """One walk. Each `visit_` method gives the value of one kind of node; every other kind is refused."""

    def __init__(self, names: Mapping[str, object], functions: Mapping[str, Function]) -> None:
        self.names, self.functions = names, functions

    def visit(self, node: ast.AST) -> Value:
        """The value of a node, within the bounds."""
        value: object = super().visit(node)
        if not is_value(value):
            _refuse(f"'{ast.unparse(node)}' can only be given to a function such as dim(value, axis)")
        if not isinstance(node, ast.Name) and _is_number(value) and not abs(value) <= MAX_RESULT:
            _refuse(f"'{ast.unparse(node)}' is not a number within ±2^53")
        items, levels = _measure(value)
        if items > MAX_ITEMS or levels > MAX_DEPTH:
            _refuse(f"'{ast.unparse(node)}' has more than {MAX_ITEMS} items or {MAX_DEPTH} levels of lists")
        return value

    def generic_visit(self, node: ast.AST) -> NoReturn:
        """Refuse what the language does not have."""
        _refuse(f"'{ast.unparse(node)}' is not allowed in an expression", hint=ALLOWED)

    def visit_Constant(self, node: ast.Constant) -> object:
        return node.value if is_value(node.value) else self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> object:
        if node.id not in self.names and node.id not in WORDS:
            _refuse(f"unknown name '{node.id}'", code="spec/unknown-name", hint=suggest(node.id, self.names))
        return self.names[node.id] if node.id in self.names else WORDS[node.id]

    def visit_List(self, node: ast.List) -> object:
        return [self.visit(item) for item in node.elts]

    def visit_UnaryOp(self, node: ast.UnaryOp) -> object:
        if type(node.op) not in UNARY:
            self.generic_visit(node)
        operand = self.visit(node.operand)
        return not operand if isinstance(node.op, ast.Not) else UNARY[type(node.op)](_number(operand, node))

    def visit_BinOp(self, node: ast.BinOp) -> object:
        if type(node.op) not in ARITHMETIC:
            self.generic_visit(node)
        a, b = _number(self.visit(node.left), node), _number(self.visit(node.right), node)
        return _apply(ARITHMETIC[type(node.op)], node, a, b)

    def visit_BoolOp(self, node: ast.BoolOp) -> object:
        decided = isinstance(node.op, ast.Or)
        for operand in node.values[:-1]:
            value = self.visit(operand)
            if bool(value) is decided:
                return value
        return self.visit(node.values[-1])

    def visit_Compare(self, node: ast.Compare) -> object:
        operands = [self.visit(operand) for operand in (node.left, *node.comparators)]
        for op, a, b in zip(node.ops, operands, operands[1:], strict=False):
            if type(op) not in COMPARISONS:
                self.generic_visit(node)
            if not _apply(COMPARISONS[type(op)], node, a, b):
                return False
        return True

    def visit_IfExp(self, node: ast.IfExp) -> object:
        return self.visit(node.body if self.visit(node.test) else node.orelse)

    def visit_Subscript(self, node: ast.Subscript) -> object:
        items, index = self.visit(node.value), self.visit(node.slice)
        if not isinstance(items, list):
            _refuse(f"'{ast.unparse(node.value)}' is not a list, so it has no items")
        return _apply(lambda: items[_integer(index)], node)

    def visit_Call(self, node: ast.Call) -> object:
        name = ast.unparse(node.func)
        if node.keywords:
            _refuse(f"'{name}' takes its arguments by position: {name}(a, b)")
        if name in self.functions:
            return _apply(self.functions[name], node, *[self.argument(argument) for argument in node.args])
        if name not in FUNCTIONS:
            known = {*FUNCTIONS, *self.functions}
            _refuse(f"unknown function '{name}'", code="spec/unknown-name", hint=suggest(name, known))
        return _apply(FUNCTIONS[name], node, *[self.visit(argument) for argument in node.args])

    def argument(self, node: ast.expr) -> object:
        """An argument of a function that the caller added: a name passes whatever it stands for."""
        return self.visit_Name(node) if isinstance(node, ast.Name) else self.visit(node)


def is_value(value: object) -> TypeGuard[Value]:
    """Whether an expression can compute with it."""
    if isinstance(value, list):
        return all(is_value(item) for item in value)
    return value is None or isinstance(value, bool | int | float | str)


def _measure(value: Value) -> tuple[int, int]:
    """(items, levels) of a list, those of its lists included; (0, 0) for anything else."""
    if not isinstance(value, list):
        return 0, 0
    inner = [_measure(item) for item in value]
    return len(value) + sum(items for items, _ in inner), 1 + max((levels for _, levels in inner), default=0)


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: Value, node: ast.AST) -> int | float:
    if not _is_number(value):
        _refuse(f"'{ast.unparse(node)}': arithmetic needs numbers, not {value!r}")
    return value


def _integer(value: Value) -> int:
    if not _is_number(value) or value != int(value):
        raise ValueError(f"{value!r} is not an integer")
    return int(value)


def _apply(function: Function, node: ast.AST, *arguments: object) -> object:
    try:
        return function(*arguments)
    except (TypeError, ValueError, ArithmeticError, IndexError) as error:
        _refuse(f"'{ast.unparse(node)}': {error}")


def _divide(a: int | float, b: int | float) -> int | float:
    quotient = a / b
    even = isinstance(a, int) and isinstance(b, int) and a % b == 0
    return a // b if even else quotient


def _power(a: int | float, b: int | float) -> object:
    if abs(b) > MAX_EXPONENT:
        raise ValueError(f"the exponent is beyond ±{MAX_EXPONENT}")
    if a < 0 and b != int(b):
        raise ValueError("a negative number has no real root")
    return a**b


def _range(*bounds: Value) -> list[int]:
    numbers = range(*[_integer(bound) for bound in bounds])
    if len(numbers) > MAX_ITEMS:
        raise ValueError(f"a range has at most {MAX_ITEMS} items")
    return list(numbers)


def _round(value: float) -> int:
    """The nearest integer, halves to even. Python's second argument could ask for a huge power of ten."""
    return round(value)


def make_divisible(value: float, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to `value`, at least one and never below 90 % of `value`.

    The rounding of channel counts in MobileNet v2 and v3 (Sandler et al. 2018, Howard et al. 2019).
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


UNARY: dict[type[ast.unaryop], Function] = {
    ast.Not: operator.not_,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
ARITHMETIC: dict[type[ast.operator], Function] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
}
COMPARISONS: dict[type[ast.cmpop], Function] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
FUNCTIONS: dict[str, Function] = {
    "min": min,
    "max": max,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": _round,
    "sqrt": math.sqrt,
    "log2": math.log2,
    "abs": abs,
    "len": len,
    "range": _range,
    "make_divisible": make_divisible,
}
ALLOWED = (
    "there are numbers, texts, names, lists, items, + - * / // % **, comparisons, and, or, not, if else, "
    + ", ".join(f"{name}()" for name in FUNCTIONS)
)


def _refuse(message: str, *, code: str = "spec/bad-expression", hint: str = "") -> NoReturn:
    raise GraphcError(message, code=code, hint=hint)
