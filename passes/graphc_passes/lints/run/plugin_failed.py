"""A plugin that cannot be imported, or a lint that raises what it may not.

Why    what it would have found is missing, and the run looks clean. Exit code 3.
"""

from __future__ import annotations

from graphc import reported

plugin_failed = reported(
    "run/plugin-failed",
    help="mend, update or uninstall what the message names",
    shown_by="tests/test_lint_run.py: a broken plugin belongs to an installation, not to a file",
)
