"""`graphc lints`: what `graphc lint` looks for."""

from __future__ import annotations

from typing import Annotated

import typer

from graphc.cli.options import Format
from graphc.cli.outcome import guarded, show

Category = Annotated[str | None, typer.Argument(help="Only these.", show_default=False)]


@guarded
def lints(category: Category = None, format: Format = "text") -> None:
    """List the lints, all or those of one category, with how bad what they find is.

    `graphc explain LINT` prints the page of one; `graphc lint --select` and `--ignore` take names and categories.

    \b
    Examples:
      graphc lints
      graphc lints convolution
    """
    from graphc.report.lints import catalogue

    show(catalogue(category), format)
