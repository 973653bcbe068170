"""`graphc explain`: the page of whatever has that name; with a model, what a rewrite or a lint says of it."""

from __future__ import annotations

from typing import Annotated

import typer

from graphc.cli.options import AnyTarget, Dims, Format, FreezeInputs, LimitPairs, Params, open_model
from graphc.cli.outcome import guarded, show

Name = Annotated[
    str, typer.Argument(help="A rewrite, a pass, a named pipeline, a layer or a lint.", show_default=False)
]
OnModel = Annotated[
    str | None,
    typer.Argument(metavar="[SPEC|MODEL]", help="Where it is tried; nothing is written.", show_default=False),
]


ByOption = Annotated[
    str | None,
    typer.Option("--rewrite", metavar="NAME", help="Try this one on the SPEC|MODEL given first.", show_default=False),
]


@guarded
def explain(
    name: Name,
    model: OnModel = None,
    params: Params = None,
    dim: Dims = None,
    rewrite: ByOption = None,
    target: AnyTarget = None,
    freeze_inputs: FreezeInputs = False,
    limit: LimitPairs = None,
    format: Format = "text",
) -> None:
    """Print what a rewrite, a pass, a layer or a lint does.

    With a spec or a model too: each place where the rewrite NAME fires or is refused, and why, or what the
    lint NAME finds. Options go in braces, as in a pipeline. `graphc explain NET --rewrite NAME` says the same; with
    a target that graphc ships, the target says what counts as cheaper.

    \b
    Examples:
      graphc explain fold-batchnorm-into-conv
      graphc explain fold-batchnorm-into-conv model.onnx
      graphc explain "fold-batchnorm-into-conv{when=always}" can.yaml@can24
      graphc explain can.yaml@can24 --rewrite replace-dilated-conv-with-space-to-batch --target portable
      graphc explain conv
    """
    from graphc.report.explanation import on_model, page
    from graphc.target import find_target, is_target

    if rewrite is not None:
        name, model = rewrite, name
    if model is None:
        show(page(name), format)
        return
    aim = find_target(target) if target is not None and is_target(target) else None
    own = target if aim is None else None
    opened = open_model(model, params=params, dim=dim, target=own, freeze_inputs=freeze_inputs, limit=limit)
    show(on_model(name, opened, aim), format)
