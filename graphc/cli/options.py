"""Options that several verbs share, and the values they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from graphc.errors import GraphcError, suggest
from graphc.limits import Limits

if TYPE_CHECKING:
    import onnx_ir as ir

Format = Annotated[Literal["text", "json"], typer.Option("--format", help="For people, or for programs.")]
Provider = Annotated[Literal["cpu", "cuda"], typer.Option("--provider", help="Where ONNX Runtime runs it.")]
Source = Annotated[
    str,
    typer.Argument(metavar="SPEC|MODEL", help="net.yaml, net.yaml@variant or net.onnx.", show_default=False),
]
Params = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="K=V", help="A parameter of the spec; V is YAML. Repeatable.", show_default=False),
]
Dims = Annotated[
    list[str] | None,
    typer.Option("--dim", metavar="NAME=N", help="Size of a symbolic dimension. Repeatable.", show_default=False),
]
Target = Annotated[str | None, typer.Option("--target", help="One of the spec's targets.", show_default=False)]
AnyTarget = Annotated[
    str | None,
    typer.Option(
        "--target", metavar="NAME", help="One that graphc ships (portable), the file of one, or one of the spec's.",
        show_default=False,
    ),
]  # fmt: skip
Seed = Annotated[
    int | None, typer.Option("--seed", help="Instead of the seed of the spec's weights.", show_default=False)
]
FreezeInputs = Annotated[
    bool,
    typer.Option("--freeze-inputs", help="Take initializers that are also graph inputs for constants."),
]
LimitPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--limit", metavar="NAME=N", help="Bound what the input may ask for: graph-nodes=1000. Repeatable.",
        show_default=False,
    ),
]  # fmt: skip


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """`["a=1", "b=x=y"]` as a dict. Raises GraphcError (run/usage) for anything else."""
    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not name.strip() or not equals:
            raise GraphcError(f"{option} takes NAME=VALUE, not '{text}'", code="run/usage")
        found[name.strip()] = value
    return found


def integers(given: Sequence[str] | None, option: str) -> dict[str, int]:
    """`pairs` with integer values; raises GraphcError (run/usage) for anything else."""
    found = {}
    for name, text in pairs(given, option).items():
        try:
            found[name] = int(text)
        except ValueError:
            raise GraphcError(f"{option} {name} takes an integer, not '{text}'", code="run/usage") from None
        if abs(found[name]) >= 1 << 63:
            raise GraphcError(f"{option} {name} takes an integer of 64 bits, not {text}", code="run/usage")
    return found


def numbers(given: Sequence[str] | None, option: str) -> dict[str, float]:
    """`pairs` with numbers; raises GraphcError (run/usage) for anything else."""
    found = {}
    for name, text in pairs(given, option).items():
        try:
            found[name] = float(text)
        except ValueError:
            raise GraphcError(f"{option} {name} takes a number, not '{text}'", code="run/usage") from None
    return found


def limits(given: Sequence[str] | None) -> Limits:
    """The default limits with those given; raises GraphcError (run/usage) for an unknown one."""
    known = [field.name.replace("_", "-") for field in fields(Limits)]
    asked = integers(given, "--limit")
    for name, value in asked.items():
        if name not in known:
            raise GraphcError(f"unknown limit '{name}'", code="run/usage", hint=suggest(name, known))
        if value < 1:
            raise GraphcError(f"--limit {name} is at least 1, not {value}", code="run/usage")
    return Limits(**{name.replace("-", "_"): value for name, value in asked.items()})


def split(source: str) -> tuple[Path, str | None]:
    """The file of a source, and the variant that it names."""
    from graphc.naming import split_source

    path, variant = split_source(source)
    return Path(path), variant


def open_model(
    source: str,
    *,
    params: Sequence[str] | None = None,
    dim: Sequence[str] | None = None,
    target: str | None = None,
    freeze_inputs: bool = False,
    limit: Sequence[str] | None = None,
    weights: bool = True,
) -> ir.Model:
    """`open_source` with the values of options; a model as it stands in its file, or as its spec says."""
    from graphc.source import open_source

    model, _ = open_source(
        source,
        params=pairs(params, "--set"),
        dims=integers(dim, "--dim"),
        target=target,
        weights=weights,
        freeze_inputs=freeze_inputs,
        limits=limits(limit),
    )
    return model
