"""How a source is named: a model by its file, `net.onnx`; a spec by its file, `net.yaml`, or as `net.yaml@variant`."""

from __future__ import annotations

from pathlib import Path

from graphc.errors import GraphcError

SPECS = (".yaml", ".yml", ".json")  # how the files of specs end


def is_model(source: str | Path) -> bool:
    """Whether this is the name of an ONNX model and not of a spec."""
    return Path(source).suffix == ".onnx"


def split_source(source: str) -> tuple[str, str | None]:
    """The file that a source names, and the variant if it names one; a model has none."""
    return (source, None) if is_model(source) else split_variant(source)


def split_variant(source: str, directory: Path = Path()) -> tuple[str, str | None]:
    """`edsr.yaml@x4` -> `edsr.yaml`, `x4`; a file that has that very name wins."""
    path, at, variant = source.rpartition("@")
    return (path, variant) if at and not (directory / source).exists() else (source, None)


def require_source(file: str | Path) -> None:
    """Raises GraphcError (run/usage) for a file that ends as neither a spec nor a model does: it is another kind."""
    path = Path(file)
    if path.is_file() and not is_model(path) and path.suffix not in SPECS:
        ends = ", ".join(SPECS)
        raise GraphcError(f"'{path}' is neither a spec ({ends}) nor a model (.onnx)", code="run/usage")
