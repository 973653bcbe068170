"""A variant that the spec does not have.

Why    `net.yaml@x8` would otherwise be the network of the defaults under another name.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported

unknown_variant = reported("spec/unknown-variant", help="take one of its `variants`")


TEXT = """
graphc: 1
params: {slope: 0.2}
variants:
  steep: {slope: 0.5}
inputs: {x: "f32[1, 4, 8, 8]"}
outputs: [y]
nodes:
  - {id: y, leaky_relu: =slope}
"""


@unknown_variant.bad
def mistyped(folder: Path) -> Path:
    return _asked(folder, "step")


@unknown_variant.good
def known(folder: Path) -> Path:
    return _asked(folder, "steep")


def _asked(folder: Path, variant: str) -> Path:
    (folder / "net.yaml").write_text(TEXT)
    return folder / f"net.yaml@{variant}"
