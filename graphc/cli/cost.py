"""`graphc cost`: what a training step or an inference costs. `graphc cost diff`: by how much two models differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from graphc.cli.options import Dims, LimitPairs, Params, Source, integers, limits, pairs, split
from graphc.cli.outcome import FINDINGS, guarded, write
from graphc.cli.progress import progress
from graphc.errors import GraphcError

if TYPE_CHECKING:
    from graphc.analysis.cost_report import CostReport

Train = Annotated[bool, typer.Option("--train", help="A training step, not an inference.")]
Batch = Annotated[int | None, typer.Option("--batch", metavar="N", min=1, help="Examples.", show_default=False)]
Freeze = Annotated[
    list[str] | None,
    typer.Option("--freeze", metavar="GLOB", help="Parameters that do not train. Repeatable.", show_default=False),
]
Optimizer = Annotated[
    Literal["sgd", "momentum", "adam"] | None,
    typer.Option("--optimizer", help="Instead of the spec's.", show_default=False),
]
Precision = Annotated[
    Literal["fp32", "fp16", "bf16"] | None,
    typer.Option("--precision", help="Count bytes as if all floats were these.", show_default=False),
]
By = Annotated[
    Literal["node", "block", "op"] | None,
    typer.Option("--by", help="One table of these instead of an overview.", show_default=False),
]
Depth = Annotated[int, typer.Option("--depth", min=1, help="Parts of the path that name a block.")]
Sort = Annotated[
    Literal["total", "forward", "filter_grad", "input_grad", "bytes", "name", "order"] | None,
    typer.Option("--sort", help="The most of it first; order is the graph's.", show_default=False),
]
Top = Annotated[
    int | None, typer.Option("--top", min=1, metavar="N", help="The first N rows only.", show_default=False)
]
Convention = Annotated[
    Literal["macs", "flops", "effective", "fvcore", "torch", "legacy-output-grid"],
    typer.Option("--convention", help="How to count what tables and bars show."),
]
Format = Annotated[
    Literal["text", "json", "csv", "md", "html"], typer.Option("--format", help="For people, or for programs.")
]
DiffFormat = Annotated[
    Literal["text", "json", "md", "html"], typer.Option("--format", help="For people, or for programs.")
]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="A file instead of stdout.", show_default=False)]
A = Annotated[str, typer.Argument(metavar="A", help="A spec or a model: before.", show_default=False)]
B = Annotated[str, typer.Argument(metavar="B", help="A spec or a model: after.", show_default=False)]
FailIf = Annotated[
    list[str] | None,
    typer.Option(
        "--fail-if",
        metavar="MEASURE:+N[%]",
        help="Exit code 1 if it grows by more; with - if it shrinks by more. Repeatable.",
        show_default=False,
    ),
]
DiffTop = Annotated[int, typer.Option("--top", min=1, metavar="N", help="As many nodes that differ.")]


@guarded
def cost(
    source: Source,
    train: Train = False,
    batch: Batch = None,
    dim: Dims = None,
    params: Params = None,
    freeze: Freeze = None,
    optimizer: Optimizer = None,
    precision: Precision = None,
    by: By = None,
    depth: Depth = 1,
    sort: Sort = None,
    top: Top = None,
    convention: Convention = "macs",
    limit: LimitPairs = None,
    format: Format = "text",
    output: Output = None,
) -> None:
    """Count what an inference or a training step costs, exactly.

    Multiply-adds, operations and bytes, forward and towards filters and inputs, and the memory that it takes.
    What graphc cannot count is listed with the reason and makes the totals lower bounds.

    \b
    Examples:
      graphc cost can.yaml@can24
      graphc cost resnet.yaml@r18 --train --batch 256
      graphc cost model.onnx --train --freeze 'layer1*' --optimizer adam --precision bf16
      graphc cost rcan.yaml --by block --depth 2 --top 20
      graphc cost model.onnx --format html -o cost.html
      graphc cost diff old.onnx new.onnx --fail-if 'training_macs:+1%'
    """
    if format == "json" and (by or sort or top):
        raise GraphcError("--by, --sort and --top are for tables: JSON holds every node", code="run/usage")
    from graphc.analysis.conventions import CONVENTIONS
    from graphc.report.cost import View, printed

    counting = CONVENTIONS[convention]
    if train and counting.forward_only:
        raise GraphcError(f"{convention} counts the forward pass only", code="run/usage", hint="leave out --train")
    with progress() as say:
        say(f"counting {source}")
        report = _counted(source, train, batch, dim, params, freeze, optimizer, precision, limit)
    _put(printed(report, source, View(counting, by, depth, sort, top), format), output)


