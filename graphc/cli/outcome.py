"""How a verb ends: results on stdout, everything else on stderr, and an exit code.

0 is success; 1 a finding (a broken spec, a failed check); 2 wrong usage or a missing file; 3 a bug.
"""

from __future__ import annotations

import functools
import io
import os
import re
import shutil
import sys
import tempfile
import textwrap
import traceback
import warnings
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import typer

from graphc.cli.spelling import spelled
from graphc.errors import GraphcError, clean

if TYPE_CHECKING:
    from graphc.report.page import Page

FINDINGS, INTERNAL, INTERRUPTED, BROKEN_PIPE = 1, 3, 130, 141  # the last two as shells count signals
ROOM = 20  # columns that a wrapped cell needs

debug: ContextVar[bool] = ContextVar("debug", default=False)

P = ParamSpec("P")


def guarded(verb: Callable[P, None]) -> Callable[P, None]:
    """The verb with every exception turned into a message and an exit code; `--debug` adds the traceback."""

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
                _stop(spelled(str(error)), error.exit_code)
            except KeyboardInterrupt:
                raise typer.Exit(INTERRUPTED) from None
            except BrokenPipeError:
                _abandon_stdout()
            except Exception as error:  # the boundary: what nobody foresaw is reported as what it is, a bug
                _stop(_apology(error), INTERNAL)

    return run


def show(page: Page, format: str = "text") -> None:
    """Print a result. A terminal gets long lines wrapped at its width, everything else as they are."""
    if format == "text" and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        print("\n".join(wrapped(line, width) for line in page.text.splitlines()))
    else:
        print(page.printed(format))


def write(path: Path, text: str, *, overwrite: bool = True) -> None:
    """Write a text file, whole or not at all.

    What is no file, such as /dev/null, is written to. Raises GraphcError: run/usage if it exists and must not,
    run/write-failed.
    """
    content = f"{text.rstrip()}\n"
    try:
        if overwrite and (path.is_file() or not path.exists()):
            with tempfile.TemporaryDirectory(prefix=".graphc-", dir=path.parent) as directory:
                written = Path(directory) / path.name
                written.write_text(content, encoding="utf-8")
                os.replace(written, path)
        else:
            with path.open("w" if overwrite else "x", encoding="utf-8") as file:
                file.write(content)
    except FileExistsError:
        raise GraphcError(f"'{path}' exists", code="run/usage", hint="choose another name") from None
    except OSError as error:
        raise GraphcError(f"cannot write '{path}': {error.strerror}", code="run/write-failed") from None


def make_directory(path: Path) -> None:
    """A directory and those above it. Raises GraphcError (run/write-failed)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise GraphcError(f"cannot make '{path}': {error.strerror}", code="run/write-failed") from None


def tell(text: str) -> None:
    """Say something that is not the result."""
    print(text, file=sys.stderr)


def wrapped(line: str, width: int) -> str:
    """A line broken between words and continued below its last column that has room for a few."""
    if len(line) <= width:
        return line
    starts = [found.end() for found in re.finditer(r"^\s+|\S {2,}(?=\S)", line)]
    indent = max((start for start in starts if width - start >= ROOM), default=0)
    return textwrap.fill(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


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
    """Whoever read stdout has left: point it nowhere, so that the interpreter's last flush is quiet, too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(BROKEN_PIPE) from None


def _tolerate_narrow_encodings() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(clean(f"warning: {message}"))
