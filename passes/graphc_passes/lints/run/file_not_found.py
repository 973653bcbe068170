"""A path that leads to no file.

Why    a gate that lints nothing passes: a mistyped path in a workflow is not to look like a clean model.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported

file_not_found = reported("run/file-not-found", help="check the path")


@file_not_found.bad
def no_model(folder: Path) -> Path:
    return folder / "absent.onnx"


@file_not_found.bad
def no_spec(folder: Path) -> Path:
    return folder / "absent.yaml"


@file_not_found.good
def a_spec() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 3, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, relu: {}}
    """
