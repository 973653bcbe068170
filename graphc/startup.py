"""How a process of graphc's own starts and ends fast. A program that imports graphc decides that for itself.

Two modules wait until something of them is used: SymPy, with which onnx_ir computes with symbolic dims, takes longer to
import than everything else that a verb needs.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader

from graphc.collector import uncollected

LATE = frozenset({"sympy", "onnx_ir._symbolic_shapes"})  # the second touches SymPy while it is imported


class _Late:
    """Finds the modules of LATE, each to be executed when its first attribute is asked for."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path) if name in LATE else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


def quicken() -> None:
    """Import late what may never be needed, and leave the objects of a process that ends to the system."""
    sys.meta_path.insert(0, _Late())
    atexit.register(gc.freeze)


@contextmanager
def importing() -> Iterator[None]:
    """While modules are imported nothing is collected: what they make stays, and is not gone through later either."""
    with uncollected():
        yield
        gc.freeze()
