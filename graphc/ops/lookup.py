"""Finding what graphc knows of a node: its family, its function, or the reason why it is uncosted."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

import onnx_ir as ir

import graphc.ops
from graphc.ops.bodies import Scope
from graphc.ops.op import OPS, Op
from graphc.view import Refusal

_STRINGS = "the work depends on the text"
UNCOSTED = {
    "ImageDecoder": "the work depends on the format and the content of the image",
    "MaxRoiPool": "how large a region is, and so how many elements are compared, is data",
    "NonMaxSuppression": "how many pairs of boxes are compared depends on the scores and on the boxes",
    "SequenceMap": "how long a sequence is, is no part of its type",
    "Unique": "how far sorting goes depends on the data",
    **dict.fromkeys(("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"), _STRINGS),
}


@cache
def known() -> Mapping[str, Op]:
    """Every operator of the standard domain that has an entry, by op_type."""
    for module in pkgutil.iter_modules(graphc.ops.__path__):
        importlib.import_module(f"{graphc.ops.__name__}.{module.name}")
    return OPS


def op_of(node: ir.Node, scope: Scope | None = None) -> Op:
    """What graphc knows of a node. Raises Refusal with the reason when it is uncosted.

    With a `scope` calls of its functions are known too, and bodies find them.
    """
    if scope is not None and scope.function(node) is not None:
        from graphc.ops.control import Call  # it looks up what is in bodies, so it imports this module

        return Call(scope)
    if node.domain:
        raise Refusal(f"{node.domain}.{node.op_type} is not an operator of the standard domain")
    found = known().get(node.op_type)
    if found is None:
        raise Refusal(UNCOSTED.get(node.op_type, f"{node.op_type} is not an operator that graphc knows"))
    return found if scope is None else found.within(scope)
