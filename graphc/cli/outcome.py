"""How a verb ends: results on stdout, everything else on stderr, and an exit code.

Errors are text on stderr, and with `--format json` JSON on stdout, too: {"errors": [{"code", "file", "line", "column",
"message", "help"}]}.

0 is success; 1 a finding (a broken spec, a failed check); 2 wrong usage or a missing file; 3 a bug.
"""

from __future__ import annotations

import functools
import io
import json
import os
import re
import shutil
import signal
import sys
import textwrap
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec

import typer

from graphc import files
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
        with warnings.catch_warnings(), _interrupts() as interrupts:
            warnings.showwarning = _show_warning
            try:
                verb(*args, **kwargs)
            except typer.Exit:
                raise
            except KeyboardInterrupt:
                raise typer.Exit(INTERRUPTED) from None
            except BrokenPipeError:
                raise typer.Exit(BROKEN_PIPE) from None
            except Exception as error:  # the boundary: what nobody foresaw is reported as what it is, a bug
                if interrupts:
                    raise typer.Exit(INTERRUPTED) from None
                _fail(error, as_json=kwargs.get("format") == "json")

    return run


def show(page: Page, format: str = "text") -> None:
    """Print a result. A terminal gets long lines wrapped at its width, everything else as they are."""
    if format == "text" and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        put("\n".join(wrapped(line, width) for line in page.text.splitlines()))
    else:
        put(page.printed(format))


def put(text: str) -> None:
    """Print to stdout, at once. Raises GraphcError (run/write-failed), BrokenPipeError."""
    try:
        print(text, flush=True)
    except OSError as error:
        _abandon_stdout()
        if isinstance(error, BrokenPipeError):
            raise
        raise GraphcError(f"cannot write to stdout: {error.strerror}", code="run/write-failed") from None


def write(path: Path, text: str, *, overwrite: bool = True) -> None:
    """Write a text file, whole or not at all.

    What is no file, such as /dev/null, is written to. Raises GraphcError: run/usage if it exists and must not,
    run/write-failed.
    """
    content = f"{text.rstrip()}\n"
    try:
        if overwrite and (path.is_file() or not path.exists()):
            files.overwrite(path, content)
        else:
            with path.open("w" if overwrite else "x", encoding="utf-8") as file:
                file.write(content)
    except FileExistsError:
        raise GraphcError(f"'{path}' exists", code="run/usage", hint="choose another name") from None
    except OSError as error:
        raise GraphcError(f"cannot write '{path}': {error.strerror}", code="run/write-failed") from None


def require_directory(path: Path) -> None:
    """Raises GraphcError (run/file-not-found) where the folder of a file to be written is not there: ask before the
    work, not after."""
    if not path.parent.is_dir():
        raise GraphcError(f"no such directory: {path.parent}", code="run/file-not-found", hint="make it")


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


def _fail(error: Exception, as_json: bool) -> NoReturn:
    """Say what went wrong on stderr, and to programs that asked for JSON on stdout, too."""
    if debug.get():
        traceback.print_exc()
    if not isinstance(error, GraphcError):
        tell(_apology(error))
        raise typer.Exit(INTERNAL) from None
    tell(spelled(str(error)))
    if as_json:
        with suppress(GraphcError, BrokenPipeError):  # that stdout takes nothing changes nothing: it is said above
            put(json.dumps({"errors": [_as_json(each) for each in error.all]}, indent=2))
    raise typer.Exit(error.exit_code) from None


def _as_json(error: GraphcError) -> dict[str, str | int | None]:
    """An error for programs; null is what is not known of its place."""
    where = error.where
    return {
        "code": error.code,
        "file": where.file if where else None,
        "line": (where.line or None) if where else None,
        "column": (where.column or None) if where else None,
        "message": spelled(error.message),
        "help": spelled(error.hint),
    }


def _apology(error: Exception) -> str:
    what = clean(f"{type(error).__name__}: {error}".replace("\n", " "))
    advice = "" if debug.get() else "; run with GRAPHC_DEBUG=1 for the traceback"
    return f"internal error: {what}\nthis is a bug{advice}"


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """The interrupts that came: an import that one cuts short may end in an ImportError that does not say so."""
    came: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield came  # whoever calls has a handler already, or none can be set
        return
    signal.signal(signal.SIGINT, remember)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, usual)


def _abandon_stdout() -> None:
    """Nothing reaches stdout any more: point it nowhere, so that the interpreter's last flush is quiet, too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tolerate_narrow_encodings() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    tell(clean(f"warning: {message}"))
