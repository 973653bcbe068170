"""An imported network that only the losses use, and whose weights train.

Why    it measures how far the output is from the target. If it trains too, the loss falls fastest where it learns to
       see no difference (Johnson, Alahi and Fei-Fei 2016: the loss network remains fixed).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from graphc import Problem, Subject, lint


@lint(on="spec", category="training", severity="warning", help="freeze it where it is imported: 'frozen: true'")
def trainable_loss_network(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if network.training is None:
        return
    inference = {value for node in network.nodes for value in node.inputs}
    losses = {value for node in network.training.nodes for value in node.inputs} - inference
    for name in network.spec.imports:
        found = [path for path, each in network.trainable.items() if path.startswith(f"{name}/")]
        count = sum(network.trainable[path].value in losses for path in found)
        if count and not any(network.trainable[path].value in inference for path in found):
            yield Problem(
                f"only losses use '{name}', and {count} of its parameters train", at=network.place("imports", name)
            )


SPEC = """\
graphc: 1
inputs: {x: "f32[1, 3, 16, 16]"}
outputs: [y]
imports:
  features: {spec: features.yaml, frozen: FROZEN}
nodes: [{id: y, conv: 3}]
train:
  inputs: {target: "f32[1, 3, 16, 16]"}
  nodes:
    - {id: fy, op: features, from: y}
    - {id: ft, op: features, from: target}
  losses: [{op: mse, from: [fy, ft]}]
"""
FEATURES = """\
graphc: 1
inputs: {x: "f32[1, 3, 16, 16]"}
outputs: [f]
nodes: [{id: f, conv: {out: 8, act: relu}}]
"""


def _with_features(folder: Path, frozen: str) -> Path:
    (folder / "features.yaml").write_text(FEATURES, encoding="utf-8")
    path = folder / "net.yaml"
    path.write_text(SPEC.replace("FROZEN", frozen), encoding="utf-8")
    return path


@trainable_loss_network.bad
def features_that_train(folder: Path) -> Path:
    return _with_features(folder, "false")


@trainable_loss_network.good
def features_that_stay(folder: Path) -> Path:
    return _with_features(folder, "true")
