"""`graphc layers`: what a spec can say on one line."""

from __future__ import annotations

from typing import Annotated

import typer

from graphc.cli.options import Format
from graphc.cli.outcome import guarded, show

Name = Annotated[str | None, typer.Argument(help="A layer, to see its page.", show_default=False)]


@guarded
def layers(name: Name = None, format: Format = "text") -> None:
    """List the layers that a spec can call, or describe one.

    \b
    Examples:
      graphc layers
      graphc layers conv
    """
    from graphc.report.layers import catalogue, page

    show(catalogue() if name is None else page(name), format)
