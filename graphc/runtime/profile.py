"""What ONNX Runtime reaches on this machine: the profile that a roofline is drawn from.

Peaks are the best of several kernels and runs, so they bound what other nodes of this runtime can do; they are not
the hardware's. A busy machine gives a lower roof: measure on a quiet one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import onnx_ir as ir

from graphc.runtime.session import Provider, session
from graphc.tape import Tape

OPSET = 20
RUNS = 7  # the best of these counts
SIDE, CHANNELS, IMAGE = 1024, 64, 128  # of the product of matrices; of the convolution
ELEMENTS = 1 << 24  # of the array that is streamed: far more than any cache holds
CHAIN = 256  # nodes whose work is next to nothing


def profile(
    name: str, provider: Provider = "cpu", threads: int | None = None, say: Callable[[str], None] = lambda _: None
) -> dict[str, object]:
    """The fields of `analysis.roofline.Device`: multiply-adds and bytes per second in float32, seconds per node.

    `say` is told what is being measured. Raises GraphcError (run/provider-missing).
    """
    peaks = []
    for what, model, macs in _products():
        say(what)
        peaks.append(macs / _best_seconds(model, provider, threads))
    say("memory")
    moved = 2 * 4 * ELEMENTS  # read once, written once
    bandwidth = moved / _best_seconds(_chain(1, ELEMENTS), provider, threads)
    say("time per node")
    per_node = _best_seconds(_chain(CHAIN, 1), provider, threads) / CHAIN
    return {
        "name": name,
        "macs_per_second": {"fp32": float(f"{max(peaks):.4g}")},
        "bytes_per_second": float(f"{bandwidth:.4g}"),
        "seconds_per_node": float(f"{per_node:.3g}"),
    }


def _products() -> Iterator[tuple[str, ir.Model, int]]:
    """(what, model, multiply-adds) of the kernels that come closest to a peak."""
    yield "product of matrices", _model([SIDE, SIDE], [SIDE, SIDE], lambda op, x, w: op.MatMul(x, w)), SIDE**3
    filter_ = [CHANNELS, CHANNELS, 3, 3]
    padded = (1, 1, 1, 1)
    model = _model([1, CHANNELS, IMAGE, IMAGE], filter_, lambda op, x, w: op.Conv(x, w, pads=padded))
    yield "convolution", model, CHANNELS**2 * 9 * IMAGE**2


def _chain(nodes: int, elements: int) -> ir.Model:
    def build(op: Tape, x: ir.Value, _: ir.Value) -> ir.Value:
        for _index in range(nodes):
            x = op.Neg(x)
        return x

    return _model([elements], [], build)


def _model(shape: list[int], weights: list[int], build: Callable[[Tape, ir.Value, ir.Value], ir.Value]) -> ir.Model:
    tape, x = Tape(OPSET), ir.val("x", ir.DataType.FLOAT, shape)
    w = tape.constant(np.random.default_rng(0).standard_normal(weights).astype(np.float32), name="w")
    outputs = [build(tape, x, w)]
    used = [value for value in tape.initializers if value.uses()]
    opsets = {"": OPSET}
    graph = ir.Graph([x], outputs, nodes=tape.nodes, initializers=used, opset_imports=opsets, name="profile")
    return ir.Model(graph, ir_version=10)


def _best_seconds(model: ir.Model, provider: Provider, threads: int | None) -> float:
    (x,) = model.graph.inputs
    assert x.shape is not None
    feed = {"x": np.random.default_rng(1).standard_normal(tuple(x.shape.numpy())).astype(np.float32)}
    with session(model, provider=provider, threads=threads, optimise=True) as opened:
        opened.run(feed)  # warm
        return min(_seconds(lambda: opened.run(feed)) for _ in range(RUNS))


def _seconds(run: Callable[[], object]) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
