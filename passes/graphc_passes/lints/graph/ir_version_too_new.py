"""The file's format, its IR version, is newer than the installed onnx knows.

Why    what a newer format may say, an older reader overlooks or misreads; most runtimes refuse such a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from graphc import Case, Problem, Subject, lint, save


@lint(category="graph", severity="error", help="upgrade onnx, or export the model in an older format")
def ir_version_too_new(subject: Subject) -> Iterator[Problem]:
    version = subject.model.ir_version
    if version > onnx.IR_VERSION:
        message = f"IR version {version}, and the installed onnx knows {onnx.IR_VERSION}"
        yield Problem(message, measured=version, limit=onnx.IR_VERSION)


def _of_version(folder: Path, version: int) -> Path:
    model = Case("one node", lambda g: g.Relu(g.input(1, 3, 8, 8))).model()
    model.ir_version = version
    path = folder / "net.onnx"
    save(model, path)
    return path


@ir_version_too_new.bad
def of_tomorrow(folder: Path) -> Path:
    return _of_version(folder, onnx.IR_VERSION + 1)


@ir_version_too_new.good
def of_today(folder: Path) -> Path:
    return _of_version(folder, onnx.IR_VERSION)
