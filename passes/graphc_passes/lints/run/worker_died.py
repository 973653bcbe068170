"""The process that lints ended before it was done: it crashed, hung, or ran out of memory.

Why    onnx and ONNX Runtime are native code, and a file that crashes them here crashes them where it is deployed. The
       other lints go on in a new process; the one that was looking has not looked. Exit code 3.
"""

from __future__ import annotations

from graphc import reported

worker_died = reported(
    "run/worker-died",
    help="look at the file on a machine that may crash, or allow more with --limit worker-bytes, worker-seconds",
    shown_by="tests/test_lint_run.py: no file is known that crashes today's versions and may be shipped",
)
