"""A training step that needs more memory than the device has.

With the setting `device` only, one whose profile says `memory_bytes`; the dims are at their preferred sizes, and the
batch is that of `train:`. The peak is that of weights, gradients, the optimizer's state and activations, in the order
of the graph, without the workspace of kernels.

Why    the first step ends in an allocation that fails, on the device, after the data is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import graphc
from graphc import Problem, Subject, lint


@lint(
    on="spec",
    category="training",
    severity="error",
    help="a smaller batch or crop, 'checkpointing', a narrower precision, or an optimizer with less state",
)
def memory_exceeds_target(subject: Subject) -> Iterator[Problem]:
    device = graphc.device_of(subject)
    network = subject.expanded
    if device.memory_bytes is None or network.training is None:
        return
    memory = graphc.training_cost(subject, graphc.preferred_of(subject)).memory
    if memory.peak_training > device.memory_bytes:
        yield Problem(
            f"a training step needs {memory.peak_training:,} B, and {device.name} has {device.memory_bytes:,} B",
            at=network.place("train"),
            measured=memory.peak_training,
            limit=device.memory_bytes,
        )
    elif memory.unknown:
        yield Problem(
            f"of its memory only a part is known: {memory.unknown}", at=network.place("train"), unfinished=True
        )


SPEC = """\
graphc: 1
inputs: {x: "f32[1, 64, 64, 64]"}
outputs: [y]
nodes: [{conv: {out: 64, act: relu}}, {id: y, conv: 64}]
train:
  inputs: {target: "f32[1, 64, 64, 64]"}
  losses: [{op: mse, from: [y, target]}]
"""
DEVICE = "{name: small, macs_per_second: {fp32: 1e9}, bytes_per_second: 1e8, memory_bytes: BYTES}\n"


def _on_a_device(folder: Path, memory: str) -> Path:
    (folder / "small.yaml").write_text(DEVICE.replace("BYTES", memory), encoding="utf-8")
    path = folder / "net.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


@memory_exceeds_target.bad(device="small.yaml")
def on_a_small_device(folder: Path) -> Path:
    return _on_a_device(folder, "4000000")


@memory_exceeds_target.good(device="small.yaml")
def on_a_larger_one(folder: Path) -> Path:
    return _on_a_device(folder, "16000000")
