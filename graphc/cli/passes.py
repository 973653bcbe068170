"""`graphc passes`: what may stand in a pipeline."""

from __future__ import annotations

from graphc.cli.options import Format
from graphc.cli.outcome import guarded, show


@guarded
def passes(format: Format = "text") -> None:
    """List the rewrites, the passes of onnx_ir and the named pipelines.

    \b
    Examples:
      graphc passes
      graphc build model.onnx -p "drop-dropout,fold-batchnorm-into-conv{when=always}"
    """
    from graphc.report.passes import catalogue

    show(catalogue(), format)
