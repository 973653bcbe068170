"""Weights are said to lie in a file that is not there.

Why    a model of more than 2 GB has its weights beside it, and whoever copies only the `.onnx` has no model.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir

from graphc import Case, reported, save

external_data_missing = reported("graph/external-data-missing", help="copy the data file beside the model")


def _written(folder: Path) -> Path:
    """A model whose weights lie in `net.onnx.data`."""
    path = folder / "net.onnx"
    model = Case("weights", lambda g: g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))).model()
    onnx.save(ir.to_proto(model), path, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    return path


@external_data_missing.bad
def only_the_model_was_copied(folder: Path) -> Path:
    path = _written(folder)
    path.with_name("net.onnx.data").unlink()
    return path


@external_data_missing.good
def both_were(folder: Path) -> Path:
    return _written(folder)


@external_data_missing.good
def weights_in_the_model(folder: Path) -> Path:
    path = folder / "net.onnx"
    save(Case("weights", lambda g: g.Conv(g.input(1, 3, 8, 8), g.weight(4, 3, 3, 3))).model(), path)
    return path
