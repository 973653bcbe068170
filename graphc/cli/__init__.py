"""The command line: one module per verb, each one library call and some printing.

Nothing heavy is imported until a verb runs, so that `graphc --help` is there at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from graphc import __version__, startup
from graphc.cli import outcome
from graphc.cli.build import build
from graphc.cli.check import check
from graphc.cli.cost import cost, cost_diff
from graphc.cli.env import env
from graphc.cli.explain import explain
from graphc.cli.layers import layers
from graphc.cli.lint import lint
from graphc.cli.lints import lints
from graphc.cli.new import new
from graphc.cli.passes import passes
from graphc.cli.render import render
from graphc.cli.schema import schema
from graphc.cli.verbs import Verbs

app = typer.Typer(
    name="graphc",
    cls=Verbs,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: half the time, and nothing that a pipe or a search stumbles over
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
for verb in (build, check, lint, cost, cost_diff, render, explain, passes, layers, lints, schema, new, env):
    app.command(verb.__name__.replace("_", " "))(verb)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"graphc {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
]
Debug = Annotated[bool, typer.Option("--debug", "-vv", envvar="GRAPHC_DEBUG", help="Show the traceback of an error.")]


@app.callback()
def options(version: Version = False, debug: Debug = False) -> None:
    """A declarative graph compiler: from a YAML spec to an optimised, checked ONNX model.

    \b
    Start here:
      graphc new net                 a spec to begin with
      graphc build net.yaml          build, optimise, check
      graphc lint net.yaml           what is broken, wasteful or risky in it
      graphc layers                  what a spec can say
      graphc explain NAME            what a layer or a rewrite does

    Exit codes: 0 success, 1 a broken spec or a failed check, 2 wrong usage or a missing file, 3 a bug.
    With --format json an error is JSON on stdout, too: {"errors": [{"code", "file", "line", ...}]}.
    """
    outcome.debug.set(debug)


def main() -> None:
    """The console script `graphc`."""
    startup.quicken()
    app()
