"""`graphc cost`: what a training step or an inference costs. `graphc cost diff`: by how much two models differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from graphc.cli.options import Dims, FreezeInputs, LimitPairs, Params, Source, integers, limits, pairs, split
from graphc.cli.outcome import FINDINGS, guarded, show, tell, write
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
    freeze_inputs: FreezeInputs = False,
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
    if optimizer and not train:
        raise GraphcError("--optimizer is for a training step", code="run/usage", hint="add --train")
    from graphc.analysis.conventions import CONVENTIONS
    from graphc.report.cost import View, printed

    counting = CONVENTIONS[convention]
    if train and counting.forward_only:
        raise GraphcError(f"{convention} counts the forward pass only", code="run/usage", hint="leave out --train")
    settings = _settings(batch, dim, freeze, optimizer, precision, limit)
    _require_writable(output, source)
    (report,) = _counted(source, [train], pairs(params, "--set"), freeze_inputs, settings)
    _put(printed(report, source, View(counting, by, depth, sort, top), format), format, output)


@guarded
def cost_diff(
    a: A,
    b: B,
    fail_if: FailIf = None,
    batch: Batch = None,
    dim: Dims = None,
    params: Params = None,
    freeze: Freeze = None,
    optimizer: Optimizer = None,
    precision: Precision = None,
    freeze_inputs: FreezeInputs = False,
    top: DiffTop = 10,
    limit: LimitPairs = None,
    format: DiffFormat = "text",
    output: Output = None,
) -> None:
    """Compare what two models cost, in an inference and in a training step. Exit code 1 past a threshold.

    Every measure says its phase and its unit: inference_bytes, training_macs, peak_training_bytes, params.
    A threshold on one that is only a lower bound fails: something in it is not known.

    \b
    Examples:
      graphc cost diff model.onnx optimised.onnx
      graphc cost diff old.yaml new.yaml --fail-if 'training_macs:+1%' --fail-if 'params:+0'
      graphc cost diff edsr.yaml@x2 edsr.yaml@x4 --format md
    """
    from graphc.analysis.cost_diff import Costs, diff, threshold
    from graphc.report.cost_diff import printed
    from graphc.source import is_model

    thresholds = [threshold(text) for text in fail_if or ()]
    settings, given = _settings(batch, dim, freeze, optimizer, precision, limit), pairs(params, "--set")
    _require_writable(output, a, b)

    def costs(source: str) -> Costs:
        model = is_model(source)
        of_spec, frozen = {} if model else given, freeze_inputs and model
        return Costs(*_counted(source, [True, False], of_spec, frozen, settings))

    found = diff(costs(a), costs(b), thresholds)
    _put(printed(found, a, b, format, top), format, output)
    if found.failed:
        raise typer.Exit(FINDINGS)


def _settings(
    batch: int | None,
    dim: list[str] | None,
    freeze: list[str] | None,
    optimizer: str | None,
    precision: str | None,
    limit: list[str] | None,
) -> dict[str, Any]:
    """Arguments of `graphc.cost`."""
    return {
        "batch": batch,
        "dims": integers(dim, "--dim"),
        "freeze": freeze or (),
        "optimizer": optimizer,
        "precision": precision,
        "limits": limits(limit),
    }


def _counted(
    source: str, phases: Sequence[bool], params: dict[str, str], freeze_inputs: bool, settings: dict[str, Any]
) -> list[CostReport]:
    """What a source costs in a training step (True) and in an inference (False), as asked."""
    from graphc.analysis.training import cost
    from graphc.model import load
    from graphc.source import is_model

    if freeze_inputs and not is_model(source):
        raise GraphcError(f"--freeze-inputs is for models, and {source} is a spec", code="run/usage")
    with progress() as say:
        say(f"counting {source}")
        opened = load(source, freeze_inputs=freeze_inputs, limits=settings["limits"]) if is_model(source) else source
        reports = [cost(opened, training=training, params=params, **settings) for training in phases]
    overridable = 0 if isinstance(opened, str) else sum(value.is_initializer() for value in opened.graph.inputs)
    if overridable and any(report.uncosted for report in reports):
        tell(f"note: a caller of {source} can override its initializers; --freeze-inputs makes constants of them")
    return reports


def _require_writable(output: Path | None, *sources: str) -> None:
    """Ask before the work, not after."""
    from graphc.model import require_writable

    if output is not None:
        require_writable(output, sources=[split(source)[0] for source in sources])


def _put(text: str, format: str, output: Path | None) -> None:
    """Text may be wrapped for a terminal; what programs read is not."""
    from graphc.report.page import Page

    if output is not None:
        write(output, text)
    elif format == "text":
        show(Page(text, None))
    else:
        print(text.rstrip())
