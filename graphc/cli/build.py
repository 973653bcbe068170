"""`graphc build`: from a spec or a model to an optimised, checked model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from graphc.cli.options import (
    AnyTarget,
    Dims,
    Format,
    FreezeInputs,
    LimitPairs,
    Params,
    Provider,
    Seed,
    Source,
    integers,
    limits,
    pairs,
    split,
)
from graphc.cli.outcome import FINDINGS, guarded, make_directory, show, write
from graphc.cli.progress import progress

if TYPE_CHECKING:
    import onnx_ir as ir

    from graphc.compilation import Compilation
    from graphc.report.build import Written

Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="OUT.onnx",
        help="Where to write; by default into the current directory, named after the source.",
        show_default=False,
    ),
]
Pipeline = Annotated[
    str | None,
    typer.Option(
        "-p",
        "--passes",
        metavar="PIPELINE",
        help="Instead of the spec's own passes, '' for none; see graphc passes.",
        show_default=False,
    ),
]
NoVerify = Annotated[bool, typer.Option("--no-verify", help="Do not compare with the unoptimised model.")]
Dump = Annotated[
    Path | None,
    typer.Option("--dump-after-each", metavar="DIR", help="Write the model after each pass.", show_default=False),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file that the model is read from.")]


@guarded
def build(
    source: Source,
    output: Output = None,
    params: Params = None,
    dim: Dims = None,
    passes: Pipeline = None,
    target: AnyTarget = None,
    provider: Provider = "cpu",
    no_verify: NoVerify = False,
    dump_after_each: Dump = None,
    seed: Seed = None,
    freeze_inputs: FreezeInputs = False,
    limit: LimitPairs = None,
    force: Force = False,
    format: Format = "text",
) -> None:
    """Build a spec or optimise a model, and check the result.

    Writes net.onnx for net.yaml, net-variant.onnx for net.yaml@variant and net-optimised.onnx for net.onnx,
    over an older one if there is one. Both models run on ONNX Runtime, and if they differ by more than
    rounding, nothing is written. Beside the model lies its certificate (net.certificate.json): which rewrites
    fired where, under which conditions, and the measured error. `graphc explain PASS NET` tells where a pass was
    refused, and why.

    With a target (--target portable) the rewrites bring the model to the operators that it runs; exit code 1 if some
    node is left that it does not.

    \b
    Examples:
      graphc build can.yaml@can24
      graphc build edsr.yaml@x4 --set feats=32 -o small.onnx
      graphc build style_transfer.yaml --dim H=256 --dim W=256
      graphc build model.onnx -p "inference,common-subexpression-elimination"
      graphc build super_resolution.yaml@x4 --target portable
    """
    from graphc.certificate import beside
    from graphc.compilation import compile
    from graphc.model import data_file, require_writable
    from graphc.report import build as report

    out = output or default_output(source)
    given, sizes, bounds = pairs(params, "--set"), integers(dim, "--dim"), limits(limit)
    files = out, data_file(out), beside(out)
    require_writable(*files, sources=[split(source)[0]], force=force)  # before minutes of work
    dumps = _Dumps(dump_after_each, split(source)[0])
    with progress() as say:
        say(f"reading {source}")
        made = compile(
            source,
            params=given,
            dims=sizes,
            pipeline=passes,
            target=target,
            provider=provider,
            verify=not no_verify,
            seed=seed,
            freeze_inputs=freeze_inputs,
            limits=bounds,
            before_step=lambda name, model: say(name),
            after_step=dumps.write,
        )
        say(f"writing {out}")
        written = _write(made, source, out, force)
    show(report.page(written), format)
    if made.leftovers:
        raise typer.Exit(FINDINGS)


def default_output(source: str) -> Path:
    """`specs/can.yaml@can24` -> `can-can24.onnx` in the current directory; a model is not its own output."""
    from graphc.naming import is_model

    if is_model(source):
        return Path(f"{Path(source).stem}-optimised.onnx")
    path, variant = split(source)
    return Path(f"{path.stem}{f'-{variant}' if variant else ''}.onnx")


class _Dumps:
    """Writes the model after each pass, numbered in their order, if there is a directory for it."""

    def __init__(self, directory: Path | None, source: Path) -> None:
        self.directory, self.source, self.count = directory, source, 0
        if directory is not None:
            make_directory(directory)

    def write(self, name: str, model: ir.Model) -> None:
        from graphc.model import save

        if self.directory is None:
            return
        self.count += 1
        save(model, self.directory / f"{self.count:02}-{name}.onnx", sources=[self.source])


def _write(made: Compilation, source: str, out: Path, force: bool) -> Written:
    from graphc.certificate import beside, certify
    from graphc.metadata import preferred_dims
    from graphc.model import INLINE_BYTES, data_file, data_files, needs_data_file, save
    from graphc.report.build import Written

    certificate = certify(made, source)
    save(made.model, out, sources=[split(source)[0], *data_files(made.original)], force=force)
    write(beside(out), certificate.model_dump_json(indent=2))
    data = data_file(out)
    files = (out, data) if needs_data_file(made.model, INLINE_BYTES) and data.exists() else (out,)
    return Written(source, made, (*files, beside(out)), preferred_dims(made.original))
