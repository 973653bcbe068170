"""A file called `.onnx` that holds no ONNX model.

Why    a download that failed, a pointer of a large-file storage, a page that says "not found": each is a file of that
       name, and some of them are even valid protobuf.
"""

from __future__ import annotations

from pathlib import Path

from graphc import Case, reported, save

not_a_model = reported("run/not-a-model", help="export the model again, or fetch the file itself")


@not_a_model.bad
def empty(folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_bytes(b"")
    return path


@not_a_model.bad
def a_pointer_to_large_file_storage(folder: Path) -> Path:
    path = folder / "net.onnx"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", encoding="utf-8")
    return path


@not_a_model.good
def a_model(folder: Path) -> Path:
    path = folder / "net.onnx"
    save(Case("a model", lambda g: g.Relu(g.input(1, 3, 8, 8))).model(), path)
    return path
