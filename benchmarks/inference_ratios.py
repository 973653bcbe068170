"""How fast models run on ONNX Runtime's CPU provider, as they are and optimised. Prints a table of ratios; asserts
nothing but that all compute the same.

    python benchmarks/inference_ratios.py [ROUNDS] [--write]

Every model runs with all of ONNX Runtime's own optimisations on, in every form: as its spec says, rewritten by
graphc's `inference` pipeline, and by each peer that is installed (`pip install '.[bench]'`). One run of each form per
round, round after round in one process with spinning threads off, so that a slow moment of the machine falls on all
alike. A ratio is the median over the rounds of (time as it is / time of the form): above 1 the form is faster.
`--write` puts the table into benchmarks/README.md.
"""

from __future__ import annotations

import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from rich.progress import track

import graphc
from graphc.runtime.feeds import make_feeds
from graphc.runtime.session import session
from graphc.runtime.tolerance import rounding

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import networks  # noqa: E402 - weights under which a wrong rewrite shows

PAGE = Path(__file__).with_name("README.md")
THREADS = 2
MODELS: dict[str, dict[str, int]] = {  # spec -> sizes of its dims
    "can@can24": {"H": 240, "W": 320},
    "can@can32": {"H": 240, "W": 320},
    "style_transfer@bn": {"H": 256, "W": 256},
    "style_transfer@in": {"H": 256, "W": 256},
    "super_resolution@x4": {"H": 72, "W": 72},
    "srcnn@9-1-5": {"H": 120, "W": 160},
    "srcnn@9-5-5": {"H": 120, "W": 160},
    "shufflenet_v1@g3": {"H": 224, "W": 224},
    "alexnet": {},
    "vgg16": {},
}
Run = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Timed:
    """A model in every form: the median ratio to the form as it is, the time of that in seconds."""

    name: str
    seconds: float
    ratios: dict[str, float]


def main(rounds: int, write: bool) -> None:
    """Measure, print, and write the table if asked to."""
    rows = [measured(name, sizes, rounds) for name, sizes in MODELS.items()]
    text = page(rows, rounds)
    print(text)
    if write:
        PAGE.write_text(text, "utf-8")


def measured(name: str, sizes: Mapping[str, int], rounds: int) -> Timed:
    """One model in all its forms."""
    network = networks.expanded(name)
    model, _ = graphc.open_source(networks.telling_model(network), dims=sizes)
    feeds = make_feeds(model, 0, 0, dict(sizes), {})
    forms = {
        "as it is": _on_runtime(model.clone()),
        "graphc": _on_runtime(graphc.Pipeline("inference")(model.clone()).model),
    }
    for peer, optimise in PEERS.items():
        try:
            forms[peer] = optimise(model.clone())
        except ModuleNotFoundError:
            continue
        except Exception as error:  # whatever a peer raises on a model
            print(f"{peer} on {name}: {type(error).__name__}: {str(error)[:120]}", file=sys.stderr)
    expected = forms["as it is"](feeds)
    for form, run in list(forms.items()):
        if not _agree(expected, run(feeds), model):
            print(f"{form} on {name}: other outputs", file=sys.stderr)
            del forms[form]
    times: dict[str, list[float]] = {form: [] for form in forms}
    order = list(forms.items())
    for _ in track(range(rounds), description=name, disable=not sys.stderr.isatty()):
        order.append(order.pop(0))  # so that none always runs behind the same one
        for form, run in order:
            started = time.perf_counter()
            run(feeds)
            times[form].append(time.perf_counter() - started)
    base = times.pop("as it is")
    ratios = {form: statistics.median(b / t for b, t in zip(base, found, strict=True)) for form, found in times.items()}
    return Timed(name, statistics.median(base), ratios)


def _on_runtime(model: ir.Model) -> Run:
    return session(model, threads=THREADS, optimise=True).run


def _agree(expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray], model: ir.Model) -> bool:
    """Whether two forms compute the same, as far as float32 lets them; 10 for what their runtimes do otherwise."""
    allowed = 10 * rounding(model).rounding
    return all(np.abs(found[name] - y).max() <= allowed * np.abs(y).max() for name, y in expected.items())


# ---------------------------------------------------------------- peers


def _onnxsim(model: ir.Model) -> Run:
    import onnxsim

    return _on_runtime(ir.from_proto(onnxsim.simplify(ir.to_proto(model))[0]))


def _onnxslim(model: ir.Model) -> Run:
    import onnxslim

    return _on_runtime(ir.from_proto(onnxslim.slim(ir.to_proto(model))))


def _onnxoptimizer(model: ir.Model) -> Run:
    import onnxoptimizer

    return _on_runtime(ir.from_proto(onnxoptimizer.optimize(ir.to_proto(model))))


def _onnxscript(model: ir.Model) -> Run:
    import onnxscript.optimizer

    return _on_runtime(ir.from_proto(onnxscript.optimizer.optimize(ir.to_proto(model))))


def _openvino(model: ir.Model) -> Run:
    """OpenVINO is a runtime of its own: what it is compared with is ONNX Runtime."""
    import openvino

    read = openvino.Core().read_model(ir.to_proto(model).SerializeToString())
    settings = {"INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(read, "CPU", settings)
    names = [value.name for value in model.graph.outputs]

    def run(feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        found: Any = compiled(dict(feeds))
        return {str(name): np.asarray(found[index]) for index, name in enumerate(names)}

    return run


PEERS: dict[str, Callable[[ir.Model], Run]] = {
    "onnxsim": _onnxsim,
    "onnxslim": _onnxslim,
    "onnxoptimizer": _onnxoptimizer,
    "onnxscript": _onnxscript,
    "openvino": _openvino,
}


# ---------------------------------------------------------------- the page


def page(rows: list[Timed], rounds: int) -> str:
    """The table, with machine and versions."""
    forms = list(dict.fromkeys(form for row in rows for form in row.ratios))
    header = ["network", "sizes", "as it is", *forms]
    lines = [header, ["---"] * 2 + ["---:"] * (1 + len(forms))]
    for row in rows:
        sizes = " ".join(f"{name}={size}" for name, size in MODELS[row.name].items())
        found = [f"{row.ratios[form]:.2f}" if form in row.ratios else "–" for form in forms]
        lines.append([row.name, sizes, f"{row.seconds * 1e3:.1f} ms", *found])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        "# How fast optimised models run\n\n"
        f"{(__doc__ or '').partition('    python')[0].strip()}\n\n{table}\n\n"
        f"Medians of {rounds} interleaved rounds, {THREADS} threads. {_machine()}\n"
    )


def _machine() -> str:
    cpu = next(
        (line.partition(":")[2].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    lanes = "AVX-512" if any("avx512f" in line for line in _cpuinfo()) else "no AVX-512"
    packages = ["onnxruntime", "onnx", "numpy", *PEERS]
    found = ", ".join(f"{name} {_version(name)}" for name in packages if _version(name))
    return f"{cpu} ({lanes}), {platform.system()}, Python {platform.python_version()}, {found}."


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text("utf-8").splitlines() if path.exists() else []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    main(numbers[0] if numbers else 21, "--write" in sys.argv)
