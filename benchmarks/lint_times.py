"""How long `graphc lint` takes on models of many nodes: whole processes, and the looks alone.

python benchmarks/lint_times.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import onnx

from graphc import Case, CaseBuilder, save
from graphc.linting.engine import chosen, look
from graphc.linting.lint import lints
from graphc.linting.settings import Settings
from graphc.linting.subject import opened

GRAPHC = str(Path(sys.executable).with_name("graphc"))
DENSENET = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light" / "light_densenet121.onnx"
ROUNDS = 7
NODES = (2_000, 10_000)
QUIET = ["--ignore", "numerics", "--fail-on", "never", "--output-format", "json"]


def chain(nodes: int) -> object:
    """Convolutions, norms and activations in a row, that many nodes."""

    def build(g: CaseBuilder) -> object:
        x = g.input(1, 8, 16, 16)
        for _ in range(nodes // 4):
            y = g.Relu(g.Conv(x, g.weight(8, 8, 3, 3), g.weight(8), pads=(1, 1, 1, 1)))
            x = g.Add(g.Sigmoid(y), x)
        return x

    return build


def main() -> None:
    """Print medians of whole commands, and how long looks take in a process that is warm."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"light DenseNet-121": DENSENET}
        for nodes in NODES:
            files[f"a chain of {nodes:,}"] = Path(folder) / f"{nodes}.onnx"
            save(Case("chain", chain(nodes)).model(), files[f"a chain of {nodes:,}"])
        for name, file in files.items():
            times = [_command(file) for _ in range(ROUNDS)]
            print(f"{name:<20} graphc lint {statistics.median(times):.2f} s (least {min(times):.2f})   {_looks(file)}")


def _command(file: Path) -> float:
    started = time.perf_counter()
    subprocess.run([GRAPHC, "lint", str(file), *QUIET], check=True, capture_output=True)
    return time.perf_counter() - started


def _looks(file: Path) -> str:
    lints()
    started = time.perf_counter()
    subject = opened(str(file))
    nodes = len(subject.model.graph)
    read = time.perf_counter() - started
    taken = {}
    for each in chosen(Settings()):
        if each.category != "numerics":
            started = time.perf_counter()
            list(look(subject, each))
            taken[each.name] = time.perf_counter() - started
    slowest = max(taken, key=lambda name: taken[name])
    return (
        f"{nodes:,} nodes: reading {read:.2f} s, {len(taken)} looks {sum(taken.values()):.2f} s, "
        f"the slowest {slowest} {taken[slowest]:.3f} s"
    )


if __name__ == "__main__":
    main()
