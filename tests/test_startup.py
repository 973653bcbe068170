"""What a process of graphc's own imports late, and what it never imports."""

from __future__ import annotations

import subprocess
import sys

LATE = """
import sys
from graphc import startup
startup.quicken()
with startup.importing():
    import onnx_ir as ir
assert "sympy.core" not in sys.modules
assert (ir.SymbolicDim("N") + 1).value == "N + 1"
assert "sympy.core" in sys.modules
"""
LIBRARY = """
import sys
finders = list(sys.meta_path)
import graphc
graphc.Case
assert sys.meta_path[:len(finders)] == finders, sys.meta_path
"""
RUN = """
import sys
import graphc.linting.run, graphc.report.findings.rendering
found = {"numpy", "onnx", "onnx_ir", "onnxruntime", "graphc_passes"} & set(sys.modules)
assert not found, found
"""
CHILD = """
import sys
import graphc.linting.child as child
child.prepare()
found = {"onnx.reference", "onnxruntime", "graphc.spec.doors"} & set(sys.modules)
assert not found, found
"""


def _holds(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_sympy_waits_until_a_dim_is_computed_with() -> None:
    _holds(LATE)


def test_a_program_that_uses_the_library_keeps_its_imports() -> None:
    _holds(LIBRARY)


def test_the_process_that_only_tells_of_findings_imports_nothing_that_could_read_a_model() -> None:
    _holds(RUN)


def test_the_process_that_lints_imports_nothing_for_models_that_it_was_not_given() -> None:
    _holds(CHILD)
