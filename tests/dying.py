"""The worker of a lint run, killed by a signal when a certain lint is about to look: see test_lint_run.py."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from typing import Any

from graphc.linting import child

prepare = child.prepare
FATAL = "GRAPHC_TEST_FATAL"  # names the lint


def main(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """As `child.main`, until that lint."""
    for message in child.main(request):
        yield message
        if message.get("look") == os.environ[FATAL]:
            os.kill(os.getpid(), signal.SIGSEGV)
