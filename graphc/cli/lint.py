"""`graphc lint`: the gate before a spec or a model is deployed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from graphc.cli.options import Dims, LimitPairs, integers, limits, pairs
from graphc.cli.outcome import FINDINGS, INTERNAL, guarded, put, require_directory, tell, write
from graphc.cli.progress import progress
from graphc.errors import GraphcError, clean

if TYPE_CHECKING:
    from graphc.limits import Limits
    from graphc.linting.mending import Mended
    from graphc.linting.run import Outcome
    from graphc.linting.settings import Settings
    from graphc.runtime.worker import Worker

USAGE = 2
MISUSED = frozenset({"run/file-not-found", "spec/unknown-target"})  # what a caller named wrongly

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[PATH]...", help="Specs, models, or folders of both; the current one if none.", show_default=False
    ),
]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", metavar="LINT", help="Only this lint, or category. Repeatable.", show_default=False),
]
ExtendSelect = Annotated[
    list[str] | None,
    typer.Option("--extend-select", metavar="LINT", help="This one besides. Repeatable.", show_default=False),
]
Ignore = Annotated[
    list[str] | None,
    typer.Option("--ignore", metavar="LINT", help="Not this lint, or category. Repeatable.", show_default=False),
]
FailOn = Annotated[
    Literal["error", "warning", "info", "never"] | None,
    typer.Option("--fail-on", help="Exit code 1 from this severity on; error by default.", show_default=False),
]
Budget = Annotated[
    list[str] | None,
    typer.Option("--budget", metavar="NAME=N", help="macs=2G, file-size=1MB, ... Repeatable.", show_default=False),
]
Target = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="NAME", help="Where it will run: portable, ort-cpu, ort-cuda.", show_default=False
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="NAME|FILE.yaml", help="What it will run on: memory, peak.", show_default=False),
]
CostBaseline = Annotated[
    Path | None,
    typer.Option(
        "--cost-baseline",
        metavar="FILE",
        help="A report of graphc cost --format json to hold it to.",
        show_default=False,
    ),
]
Run = Annotated[bool, typer.Option("--run", help="Run the models too: latencies, numerics.")]
OutputFormat = Annotated[
    Literal["full", "concise", "json", "github", "gitlab", "junit", "sarif", "markdown"],
    typer.Option("--output-format", help="For people, or for programs."),
]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="A file instead of stdout.", show_default=False)]
Statistics = Annotated[bool, typer.Option("--statistics", help="Count findings by lint instead.")]
Fix = Annotated[bool, typer.Option("--fix", help="Apply the safe fixes, then lint again.")]
UnsafeFixes = Annotated[bool, typer.Option("--unsafe-fixes", help="Apply all fixes.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show what fixes would change; write nothing.")]
Baseline = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="Findings that are known and not told.", show_default=False),
]
WriteBaseline = Annotated[bool, typer.Option("--write-baseline", help="Make what is found now the baseline.")]
PruneBaseline = Annotated[bool, typer.Option("--prune-baseline", help="Drop what is no longer found from it.")]
ShowSettings = Annotated[bool, typer.Option("--show-settings", help="Print the settings, and who set each.")]


@guarded
def lint(
    sources: Sources = None,
    select: Select = None,
    extend_select: ExtendSelect = None,
    ignore: Ignore = None,
    fail_on: FailOn = None,
    budget: Budget = None,
    dim: Dims = None,
    target: Target = None,
    device: Device = None,
    cost_baseline: CostBaseline = None,
    run: Run = False,
    output_format: OutputFormat = "full",
    output: Output = None,
    statistics: Statistics = False,
    fix: Fix = False,
    unsafe_fixes: UnsafeFixes = False,
    diff: Diff = False,
    baseline: Baseline = None,
    write_baseline: WriteBaseline = False,
    prune_baseline: PruneBaseline = False,
    show_settings: ShowSettings = False,
    limit: LimitPairs = None,
) -> None:
    """Find what is broken, wasteful or risky in specs and models.

    A spec is linted with each of its variants, a model as its file holds it. `graphc lints` lists what is looked for,
    `graphc explain LINT` says what a lint means. Settings come from here, from the nearest graphc.toml or
    [tool.graphc.lint] of pyproject.toml, and from the spec's `lint:`. A comment
    `# graphc: ignore[LINT] reason` keeps a line quiet.

    Exit codes: 0 clean, 1 findings from --fail-on on, 2 wrong usage or a missing file, 3 a crash.

    \b
    Examples:
      graphc lint                                  every spec and model below the current folder
      graphc lint net.yaml model.onnx
      graphc lint net.yaml --select convolution --fail-on warning
      graphc lint model.onnx --target portable
      graphc lint model.onnx --budget macs=2G --budget file-size=10MB
      graphc lint net.yaml --baseline lint.json --write-baseline
      graphc lint --output-format sarif -o lint.sarif
    """
    if statistics and output_format != "full":
        raise GraphcError("--statistics is a table for people", code="run/usage", hint="leave out --output-format")
    if diff and (output is not None or output_format != "full"):
        raise GraphcError("--diff prints a diff to stdout", code="run/usage", hint="leave out -o and --output-format")
    if not all(sources or ["."]):
        raise GraphcError("a path is empty", code="run/usage", hint="is a variable of the workflow not set?")
    if output is not None:
        require_directory(output)
    from graphc import linting
    from graphc.runtime.worker import Worker

    with Worker(linting.CHILD) as worker:  # it imports the lints while this process imports what it needs
        said = {
            "select": _split(select),
            "extend-select": _split(extend_select),
            "ignore": _split(ignore),
            "fail-on": fail_on,
            "budgets": pairs(budget, "--budget") or None,
            "dims": integers(dim, "--dim") or None,
            "target": target,
            "device": device,
            "cost-baseline": cost_baseline and str(cost_baseline),
            "run": run or None,
            "baseline": baseline and str(baseline),
        }
        flags = _flags(said)
        bounds, given = limits(limit), sources or ["."]
        if show_settings:
            put(_settings_page(given, flags))
            return
        outcome = _linted(given, flags, bounds, write_baseline, worker)
    if fix or unsafe_fixes or diff:
        _mend(outcome, unsafe_fixes, not diff, bounds)
        if diff:
            return
        outcome = _linted(given, flags, bounds, write_baseline)
    if write_baseline or prune_baseline:
        _keep(outcome, write_baseline)
        return
    _print(outcome, output_format, output, statistics)
    code = _exit_code(outcome)
    if code:
        raise typer.Exit(code)


def _linted(
    sources: list[str], flags: Settings, bounds: Limits, making_baseline: bool, worker: Worker | None = None
) -> Outcome:
    from graphc.linting.run import run

    with progress() as say:
        return run(sources, flags, limits=bounds, making_baseline=making_baseline, worker=worker, say=say)


def _flags(said: Mapping[str, Any]) -> Settings:
    """The settings that the command line makes, none for what it does not say."""
    from graphc.linting.settings import COMMAND_LINE, checked

    return checked({name: value for name, value in said.items() if value is not None}, COMMAND_LINE)


def _split(names: list[str] | None) -> list[str] | None:
    """Repeated options, each of which may name several with commas."""
    return None if names is None else [name.strip() for text in names for name in text.split(",") if name.strip()]


def _settings_page(sources: list[str], flags: Settings) -> str:
    from graphc.linting.run import collected, settings_of
    from graphc.report.table import table

    files = [file for source in sources for file in collected(source)]
    parts = []
    for file in files:
        resolved = settings_of(file, flags)
        rows = [(name, clean(str(value)), clean(origin)) for name, value, origin in resolved.rows()]
        parts.append(f"{clean(file)}\n{table([('setting', 'value', 'from'), *rows], '<<<')}")
    return "\n\n".join(parts)


def _mend(outcome: Outcome, unsafe: bool, write: bool, bounds: Limits) -> None:
    from graphc.linting.mending import mend

    mended: list[Mended] = []
    with progress() as say:
        say("fixing")
        mended.extend(mend(outcome.report.findings, outcome.quiet, unsafe=unsafe, write=write, limits=bounds))
    for each in mended:
        if each.refused:
            tell(clean(f"{each.file}: not fixed: {each.refused}"))
        elif not write:
            put("\n".join(clean(line) for line in each.diff.splitlines()))
    fixed = sum(each.fixed for each in mended)
    tell(f"{'would fix' if not write else 'fixed'} {fixed} finding{'' if fixed == 1 else 's'}")


def _keep(outcome: Outcome, write_all: bool) -> None:
    """Write the baseline: of all that is found, or of what it holds and is still found."""
    from graphc.linting import baseline

    if outcome.baseline is None:
        raise GraphcError("which file is the baseline?", code="run/usage", hint="name it with --baseline FILE")
    path = outcome.baseline
    entries = (
        [baseline.entry(each, path.parent) for each in outcome.found if baseline.is_known(each)]
        if write_all
        else list(outcome.known)
    )
    write(path, baseline.text(entries))
    tell(f"{clean(str(path))} holds {len(entries)} known finding{'' if len(entries) == 1 else 's'}")


def _print(outcome: Outcome, output_format: str, output: Path | None, statistics: bool) -> None:
    from graphc.report.findings import rendering

    text = rendering.statistics(outcome.report) if statistics else rendering.render(outcome.report, output_format)
    if output is None:
        if text:
            put(text.rstrip("\n"))
    else:
        write(output, text)


def _exit_code(outcome: Outcome) -> int:
    from graphc.linting.finding import DIED, FAILED

    names = {each.lint for each in outcome.report.findings}
    if names & {DIED, FAILED}:
        return INTERNAL
    if names & MISUSED:
        return USAGE
    return FINDINGS if outcome.fails else 0
