"""`graphc render`: draw a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from graphc.cli.options import Dims, LimitPairs, Params, Source, Target, open_model, split
from graphc.cli.outcome import guarded, show, write

Output = Annotated[Path | None, typer.Option("-o", "--output", help="A file instead of stdout.", show_default=False)]
Drawing = Annotated[
    Literal["text", "json", "dot", "mermaid"],
    typer.Option("--format", help="A tree, the same for programs, or the text of a diagram."),
]
Depth = Annotated[
    int | None, typer.Option("--depth", min=1, help="Fold the scopes below this depth.", show_default=False)
]
Expanded = Annotated[
    bool, typer.Option("--expanded", help="One line per node, with the line of the spec it comes from.")
]


@guarded
def render(
    source: Source,
    output: Output = None,
    params: Params = None,
    dim: Dims = None,
    target: Target = None,
    limit: LimitPairs = None,
    depth: Depth = None,
    expanded: Expanded = False,
    format: Drawing = "text",
) -> None:
    """Draw a spec or a model as a tree or a diagram.

    Nodes are grouped by scope, with shapes, parameters and multiply-accumulates.

    \b
    Examples:
      graphc render resnet.yaml@r18
      graphc render resnet.yaml@r18 --depth 1
      graphc render model.onnx --format mermaid -o model.mmd
      graphc render model.onnx --format dot | dot -Tsvg > model.svg
    """
    from graphc.model import require_writable
    from graphc.report.diagram import dot, mermaid
    from graphc.report.drawing import flat, tree
    from graphc.report.page import Page

    if output is not None:
        require_writable(output, sources=[split(source)[0]])
    model = open_model(source, params=params, dim=dim, target=target, limit=limit, weights=False)
    if format in ("dot", "mermaid"):
        page = Page(dot(model) if format == "dot" else mermaid(model), None)
    else:
        page = flat(model) if expanded else tree(model, depth)
    kind = "json" if format == "json" else "text"
    if output is None:
        show(page, kind)
    else:
        write(output, page.printed(kind))
