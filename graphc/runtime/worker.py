"""A second process for what may crash, hang or fill the memory: native code on files that nobody vouches for.

    for message in messages("graphc.linting.child", request, seconds=120, address_space=16 << 30): ...

The child is this Python running `MODULE.main(request)`, a generator of JSON values, each of which arrives when it is
made; `MODULE.prepare()`, where there is one, before it knows the request. It has an address space and a CPU time of its
own, and a clock runs for each silence. How it ended is told by a WorkerDiedError, never by a hang of the parent.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO, Any

from graphc import startup
from graphc.errors import GraphcError

DEBUG = "GRAPHC_DEBUG"  # with it the child's stderr is that of the parent
GRACE = 2  # CPU seconds per second of the clock: the cores that native code may use


class WorkerDiedError(GraphcError):
    """The worker ended before it was done; the message says how."""

    def __init__(self, how: str) -> None:
        super().__init__(how, code="run/worker-died", hint="run it alone with GRAPHC_DEBUG=1, and report what it says")


class Worker:
    """A child that has begun to import its module, and waits for one request. Close it, or use `with`."""

    def __init__(self, module: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "graphc.runtime.worker", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get(DEBUG) else subprocess.DEVNULL,
            text=True,
            encoding="ascii",
        )

    def messages(self, request: Any, *, seconds: int, address_space: int, tasks: int = 1) -> Iterator[Any]:
        """What the child says to the one request, as it says it.

        Raises WorkerDiedError when it crashes, is silent for `seconds`, or runs out of memory: of `address_space`, in
        bytes. A request of several `tasks` may take as many times the CPU time of one.
        """
        said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        threading.Thread(target=_listen, args=(self._child.stdout, said), daemon=True).start()
        with contextlib.suppress(BrokenPipeError):  # it died at once, which the next lines find
            bounds = {"seconds": GRACE * seconds * tasks, "address_space": address_space}
            json.dump({**bounds, "request": request}, self._child.stdin)
            self._child.stdin.close()
        while (line := _next(said, seconds)) is not None:
            yield json.loads(line)
        code = self._child.wait()
        if code:
            raise WorkerDiedError(_ending(code))

    def close(self) -> None:
        """End the child, whatever it does."""
        self._child.kill()
        self._child.wait()
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):  # what was not sent is not missed
                    stream.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def messages(module: str, request: Any, *, seconds: int, address_space: int, tasks: int = 1) -> Iterator[Any]:
    """What a new child says; see `Worker.messages`. Closing the generator ends it."""
    with Worker(module) as worker:
        yield from worker.messages(request, seconds=seconds, address_space=address_space, tasks=tasks)


def _listen(stream: IO[str], said: queue.SimpleQueue[str | None]) -> None:
    with contextlib.suppress(ValueError):  # closed by the parent, who has heard enough
        for line in stream:
            said.put(line)
    said.put(None)


def _next(said: queue.SimpleQueue[str | None], seconds: int) -> str | None:
    try:
        return said.get(timeout=seconds)
    except queue.Empty:
        raise WorkerDiedError(f"it was silent for {seconds} s") from None


def _ending(code: int) -> str:
    if code >= 0:
        return f"it ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it was ended by signal {-code}"


# ---------------------------------------------------------------- the child's side


def _confine(seconds: int, address_space: int) -> None:
    """Bound this process: bytes of address space, CPU seconds, no core dump. Where the system has no bound, none."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for kind, bound in (
        (resource.RLIMIT_AS, address_space),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        with contextlib.suppress(ValueError, OSError):  # macOS knows the name and refuses the bound
            resource.setrlimit(kind, (bound, bound))


def _main() -> None:
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="ascii")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no message
    startup.quicken()
    with startup.importing():
        module = importlib.import_module(sys.argv[1])
        getattr(module, "prepare", lambda: None)()
    told = json.load(sys.stdin)
    _confine(told["seconds"], told["address_space"])
    for message in module.main(told["request"]):
        out.write(json.dumps(message) + "\n")
        out.flush()
    os._exit(0)  # all is said: taking the interpreter down would take as long as a lint


if __name__ == "__main__":
    _main()
