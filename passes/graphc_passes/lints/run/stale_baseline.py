"""An entry of the baseline that is not found any more.

Why    it was mended; an entry that stays would let the same defect in again unseen.
"""

from __future__ import annotations

from graphc import reported

stale_baseline = reported(
    "run/stale-baseline",
    severity="warning",
    help="drop it with --prune-baseline",
    shown_by="tests/test_lint_run.py: a baseline belongs to a run, not to one file",
)
