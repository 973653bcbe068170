"""How a verb ends: results on stdout, everything else on stderr, and an exit code.

0 is success; 1 a finding: a broken spec, a failed check; 2 wrong usage or a missing file; 3 a mistake of graphc.
"""

from __future__ import annotations

import functools
import io
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn, ParamSpec

import typer

from graphc.errors import GraphcError, clean

FINDINGS, INTERNAL, INTERRUPTED, BROKEN_PIPE = 1, 3, 130, 141  # the last two as shells count signals

debug: ContextVar[bool] = ContextVar("debug", default=False)

P = ParamSpec("P")


def guarded(verb: Callable[P, None]) -> Callable[P, None]:
    """The verb with every exception turned into a message and an exit code; tracebacks are for `--debug` only."""

    @functools.wraps(verb)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        _tolerate_narrow_encodings()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                verb(*args, **kwargs)
                sys.stdout.flush()
            except typer.Exit:
                raise
            except GraphcError as error:
                _stop(str(error), error.exit_code)
            except KeyboardInterrupt:
                raise typer.Exit(INTERRUPTED) from None
            except BrokenPipeError:
                _abandon_stdout()
            except Exception as error:  # the boundary: what nobody foresaw is reported as what it is, a bug
                _stop(_apology(error), INTERNAL)

    return run


def show(text: str) -> None:
    """Print a result."""
    print(text)


def show_json(value: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def tell(text: str) -> None:
    """Say something that is not the result."""
    print(text, file=sys.stderr)


def _stop(message: str, code: int) -> NoReturn:
    sys.stdout.flush()
    if debug.get():
        traceback.print_exc()
    tell(message)
    raise typer.Exit(code) from None


def _apology(error: Exception) -> str:
    what = clean(f"{type(error).__name__}: {error}".replace("\n", " "))
    advice = "" if debug.get() else "; run with GRAPHC_DEBUG=1 for the traceback"
    return f"internal error: {what}\nthis is a bug{advice}"


def _abandon_stdout() -> NoReturn:
    """Whoever read stdout has left: point it nowhere, so that the interpreter's own last flush is quiet, too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(BROKEN_PIPE) from None


def _tolerate_narrow_encodings() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(clean(f"warning: {message}"))
