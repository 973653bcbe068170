"""`graphc env`: what graphc runs on, for bug reports."""

from __future__ import annotations

from typing import Annotated

import typer

from graphc.cli.options import Format, Provider
from graphc.cli.outcome import guarded, show
from graphc.cli.progress import progress

Measure = Annotated[bool, typer.Option("--measure", help="Print a device profile of this machine, in YAML.")]


@guarded
def env(measure: Measure = False, provider: Provider = "cpu", format: Format = "text") -> None:
    """Print the versions and execution providers in use.

    With --measure: what ONNX Runtime reaches here, as a device profile for a roofline. Takes seconds; the
    machine should be quiet.

    \b
    Examples:
      graphc env
      graphc env --format json
      graphc env --measure > here.yaml
    """
    if measure:
        _show_profile(provider, format)
        return
    from graphc.report.page import Page
    from graphc.report.table import table
    from graphc.runtime.environment import environment

    found = environment()
    rows = [(name, str(found[name])) for name in ("graphc", "python", "platform", "cpus")]
    rows.append(("providers", ", ".join(found["providers"])))
    rows += [(name, version or "not installed") for name, version in found["packages"].items()]
    show(Page(table(rows, "<<"), found), format)


def _show_profile(provider: Provider, format: Format) -> None:
    import yaml

    from graphc.report.page import Page
    from graphc.runtime.profile import profile

    with progress() as say:
        found = profile(f"onnxruntime-{provider}", provider, say=say)
    show(Page(yaml.safe_dump(found, sort_keys=False).rstrip(), found), format)
