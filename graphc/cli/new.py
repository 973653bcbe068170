"""`graphc new`: a commented spec to start from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from graphc.cli.outcome import guarded, show, write
from graphc.errors import GraphcError, suggest

TEMPLATES = Path(__file__).with_name("templates")

Name = Annotated[str, typer.Argument(help="The network's name; the file is NAME.yaml.", show_default=False)]
Template = Annotated[str, typer.Option("--template", help="What to start from: conv, classifier or upscaler.")]
Directory = Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Where to write it.")]


@guarded
def new(name: Name, template: Template = "conv", output: Directory = Path()) -> None:
    """Write a spec with comments that builds as it is. An existing file is left alone.

    \b
    Examples:
      graphc new denoiser
      graphc new digits --template classifier -o specs
    """
    from graphc.report.page import Page

    stem = name.removesuffix(".yaml")
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", stem):
        raise GraphcError(
            f"'{name}' is no name: use letters, digits, '_' and '-', beginning with a letter", code="run/usage"
        )
    known = sorted(file.stem for file in TEMPLATES.glob("*.yaml"))
    if template not in known:
        raise GraphcError(f"unknown template '{template}'", code="run/usage", hint=suggest(template, known))
    text = (TEMPLATES / f"{template}.yaml").read_text(encoding="utf-8").replace("NAME", stem)
    file = output / f"{stem}.yaml"
    write(file, text, overwrite=False)
    show(Page(f"wrote {file}\nnext: graphc build {file}", None))
