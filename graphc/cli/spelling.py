"""The library's parameters as the command line spells them.

An error of the library names a parameter in backquotes: "`params` is for specs", "allow more with
`limits.graph_nodes=1000`". Here it is the option that stands for it.
"""

from __future__ import annotations

import re

OPTIONS = {
    "params": "--set",
    "dims": "--dim",
    "target": "--target",
    "seed": "--seed",
    "pipeline": "--passes",
    "freeze_inputs": "--freeze-inputs",
    "after_step": "--dump-after-each",
    "force": "--force",
    "verify": "--no-verify",
}
PARAMETER = re.compile(r"`(?:(limits)\.)?(\w+)(=\w+)?`")


def spelled(text: str) -> str:
    """The text with every parameter that the command line has an option for named as that option."""
    return PARAMETER.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    of_limits, name, value = found.groups()
    if of_limits:
        return f"--limit {name.replace('_', '-')}{value or ''}"
    return f"{OPTIONS[name]}{value or ''}" if name in OPTIONS else found[0]
