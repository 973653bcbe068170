"""`graphc env`: what graphc runs on, for bug reports."""

from __future__ import annotations

from graphc.cli.options import Format
from graphc.cli.outcome import guarded, show


@guarded
def env(format: Format = "text") -> None:
    """Print the versions and execution providers in use.

    \b
    Examples:
      graphc env
      graphc env --format json
    """
    from graphc.report.page import Page
    from graphc.report.table import table
    from graphc.runtime.environment import environment

    found = environment()
    rows = [(name, str(found[name])) for name in ("graphc", "python", "platform", "cpus")]
    rows.append(("providers", ", ".join(found["providers"])))
    rows += [(name, version or "not installed") for name, version in found["packages"].items()]
    show(Page(table(rows, "<<"), found), format)
