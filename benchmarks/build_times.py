"""How long graphc takes: expanding, building, starting. Prints medians of interleaved rounds; asserts nothing.

    python benchmarks/build_times.py [ROUNDS]

Every measurement is taken once per round, round after round in one process, so that a slow moment of the machine
falls on all alike. Builds are whole ones: expand, fill, passes, check on ONNX Runtime.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from math import prod
from pathlib import Path

import onnx
import onnx_ir as ir
from rich.progress import track

import graphc
from graphc.spec.document import read

SPECS = Path(__file__).parents[1] / "specs"
GRAPHC = str(Path(sys.executable).with_name("graphc"))
HEAVY = 50e6  # bytes: heavier specs spend their time on weights, not in graphc
LONG_CHAIN = 10_000  # nodes
DENSENET = Path(onnx.__file__).parent / "backend/test/data/light/light_densenet121.onnx"


def main(rounds: int) -> None:
    """Measure and print."""
    jobs: dict[str, Callable[[], object]] = {
        "graphc --help": lambda: subprocess.run([GRAPHC, "--help"], check=True, stdout=subprocess.DEVNULL),
        "python -c pass": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
        "expand rcan (2,028 nodes)": lambda: graphc.expand(str(SPECS / "rcan.yaml")),
    }
    for nodes in (LONG_CHAIN // 2, LONG_CHAIN):
        jobs[f"inference passes on a chain of {nodes:,} nodes"] = partial(passes, chain(nodes))
    jobs["inference passes on the light DenseNet-121 (1,746 nodes)"] = partial(passes, graphc.load(DENSENET))
    for source in light_sources():
        jobs[f"build {source.removeprefix(str(SPECS) + '/')}"] = partial(graphc.compile, source)
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()  # warm
    for _ in track(range(rounds), description="rounds", disable=not sys.stderr.isatty()):
        for name, job in jobs.items():
            started = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - started)
    width = max(map(len, times))
    for name, found in sorted(times.items(), key=lambda item: -statistics.median(item[1])):
        print(f"{name:<{width}}  {statistics.median(found) * 1e3:8.0f} ms   best {min(found) * 1e3:8.0f} ms")


def light_sources() -> list[str]:
    """Every shipped spec and variant whose weights are not heavy."""
    found = []
    for file in sorted(SPECS.glob("*.yaml")):
        variants = read(file).get("variants")
        names = [str(file), *(f"{file}@{name}" for name in getattr(variants, "entries", ()))]
        found += [name for name in names if weight_bytes(name) <= HEAVY]
    return found


def weight_bytes(source: str) -> int:
    """What the spec's parameters weigh in inference, as float32; not one is made."""
    return sum(4 * prod(parameter.shape) for parameter in graphc.expand(source).parameters.values())


def passes(model: ir.Model) -> object:
    """The inference pipeline on a copy."""
    return graphc.Pipeline("inference")(model.clone())


def chain(nodes: int) -> ir.Model:
    """A long chain of convolution, batch norm, ReLU and Identity."""
    g = graphc.CaseBuilder(20, ir.DataType.FLOAT)
    x = g.input(1, 8, 16, 16)
    for _ in range(nodes // 4):
        conv = g.Conv(x, g.weight(8, 8, 3, 3), pads=(1, 1, 1, 1))
        norm = g.BatchNormalization(conv, g.weight(8), g.weight(8), g.weight(8), g.weight(8, low=0.5))
        x = g.Identity(g.Relu(norm))
    return g.model([x])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
