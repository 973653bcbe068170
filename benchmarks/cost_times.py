"""How long a full training analysis takes after load. Prints medians; asserts nothing.

python benchmarks/cost_times.py [ROUNDS]
"""

from __future__ import annotations

import gc
import statistics
import sys
import tempfile
import time
from pathlib import Path

from build_times import chain

import graphc


def main(rounds: int) -> None:
    """Measure chains of several lengths, round after round, as models that were read from a file."""
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        for nodes in (1_700, 5_000, 10_000):
            path = Path(folder) / f"{nodes}.onnx"
            graphc.save(chain(nodes), path)
            models[nodes] = graphc.load(path)
        times: dict[int, list[float]] = {nodes: [] for nodes in models}
        for _ in range(rounds + 1):
            for nodes, model in models.items():
                gc.collect()  # what the analysis before left behind is not this one's time
                started = time.perf_counter()
                graphc.cost(model)
                times[nodes].append(time.perf_counter() - started)
    for nodes, found in times.items():
        median = statistics.median(found[1:])  # the first one warms up
        print(f"training cost of {nodes:6,} nodes  {median * 1e3:7.0f} ms   {median / nodes * 1e6:5.1f} µs a node")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
