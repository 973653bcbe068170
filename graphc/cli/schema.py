"""`graphc schema`: the JSON Schema of a spec, for editors."""

from __future__ import annotations

from typing import Annotated

import typer

from graphc.cli.outcome import guarded, show

For = Annotated[
    str | None,
    typer.Option("--for", metavar="SPEC", help="Add this spec's blocks and imports.", show_default=False),
]


@guarded
def schema(for_: For = None) -> None:
    """Print the JSON Schema of the spec language, for editors.

    It is draft-07, with the layers that are installed. An editor with a YAML language server completes and
    checks a spec whose first line is `# yaml-language-server: $schema=graphc-spec.schema.json`.

    \b
    Examples:
      graphc schema > graphc-spec.schema.json
      graphc schema --for net.yaml > net.schema.json
    """
    from graphc.report.page import Page
    from graphc.spec.schema import schema as generate

    show(Page("", generate(for_)), "json")
