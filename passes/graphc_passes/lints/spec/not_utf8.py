"""A spec that is not UTF-8.

Why    YAML is Unicode: in another encoding a letter stands for different ones on different machines.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported

not_utf8 = reported("spec/not-utf8", help="save the file as UTF-8")

TEXT = """
graphc: 1
doc: réseau
inputs: {x: "f32[1, 4, 8, 8]"}
outputs: [y]
nodes:
  - {id: y, op: relu}
"""


@not_utf8.bad
def latin_1(folder: Path) -> Path:
    return _saved(folder, "latin-1")


@not_utf8.good
def utf_8(folder: Path) -> Path:
    return _saved(folder, "utf-8")


@not_utf8.good
def with_a_byte_order_mark(folder: Path) -> Path:
    return _saved(folder, "utf-8-sig")


def _saved(folder: Path, encoding: str) -> Path:
    path = folder / "net.yaml"
    path.write_text(TEXT, encoding=encoding)
    return path
