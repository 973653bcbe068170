"""`graphc cost`: what a training step or an inference costs. `graphc cost diff`: by how much two models differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from graphc.cli.options import Dims, LimitPairs, Params, Source, integers, limits, pairs, split
from graphc.cli.outcome import FINDINGS, guarded, put, show, write
from graphc.cli.progress import progress
from graphc.errors import GraphcError
from graphc.limits import Limits

if TYPE_CHECKING:
    from graphc.analysis.cost_report import CostReport
    from graphc.report.cost import Roof

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
OnDevice = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="NAME|FILE.yaml", help="How fast this device could run it at best.", show_default=False
    ),
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
    device: OnDevice = None,
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

    With --device: the least time that it could take there, a bound and no prediction. A device is a shipped
    profile or a file, such as graphc env --measure prints; its peak is that of --precision, else of fp32.

    \b
    Examples:
      graphc cost can.yaml@can24
      graphc cost resnet.yaml@r18 --train --batch 256
      graphc cost model.onnx --train --freeze 'layer1*' --optimizer adam --precision bf16
      graphc cost rcan.yaml --by block --depth 2 --top 20
      graphc cost resnet.yaml@r18 --train --precision bf16 --device h100-sxm
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
    roof = _roof(device, precision or "fp32", settings["limits"]) if device is not None else None
    _require_writable(output, source)
    report = _counted(source, train, pairs(params, "--set"), settings)
    _print_or_write(printed(report, source, View(counting, by, depth, sort, top, roof), format), format, output)


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
    from graphc.naming import is_model
    from graphc.report.cost_diff import printed

    thresholds = [threshold(text) for text in fail_if or ()]
    settings, given = _settings(batch, dim, freeze, optimizer, precision, limit), pairs(params, "--set")
    if given and is_model(a) and is_model(b):
        raise GraphcError("--set is for specs, and both are models", code="run/usage")
    _require_writable(output, a, b)

    def costs(source: str) -> Costs:
        of_spec = {} if is_model(source) else given
        return Costs(*(_counted(source, training, of_spec, settings) for training in (True, False)))

    found = diff(costs(a), costs(b), thresholds)
    _print_or_write(printed(found, a, b, format, top), format, output)
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


def _roof(name: str, precision: str, limits: Limits) -> Roof:
    """Asked before the work: there is such a device, and it has a peak in that precision."""
    from graphc.analysis.roofline import PROFILES, device
    from graphc.report.cost import Roof

    shipped = sorted(file.stem for file in PROFILES.glob("*.yaml"))
    if Path(name).suffix not in (".yaml", ".yml") and name not in shipped:
        hint = f"shipped profiles: {', '.join(shipped)}; or name a file, FILE.yaml"
        raise GraphcError(f"unknown device '{name}'", code="run/usage", hint=hint)
    found = device(name, limits)
    found.peak(precision)
    return Roof(found, precision)


def _counted(source: str, training: bool, params: dict[str, str], settings: dict[str, Any]) -> CostReport:
    from graphc.analysis.training import cost

    with progress() as say:
        say(f"counting {source}")
        return cost(source, training=training, params=params, **settings)


def _require_writable(output: Path | None, *sources: str) -> None:
    """Ask before the work, not after."""
    from graphc.model import require_writable

    if output is not None:
        require_writable(output, sources=[split(source)[0] for source in sources])


def _print_or_write(text: str, format: str, output: Path | None) -> None:
    """Text may be wrapped for a terminal; what programs read is not."""
    from graphc.report.page import Page

    if output is not None:
        write(output, text)
    elif format == "text":
        show(Page(text, None))
    else:
        put(text.rstrip())
