"""A dimension without a largest size, in a spec for TensorRT.

Why    TensorRT builds an engine for the range min..max of each dimension, at its best for `opt`. Without a max ONNX
       Runtime takes the sizes it has met for the range, and builds the engine anew, for minutes, when a larger comes.
       (That nothing bounds a budget is cost/budget-not-provable.)
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Problem, Subject, lint

ENGINES = ("TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider")


@lint(
    on="spec", category="spec", severity="warning", help="give the dimension a 'max', the largest size that is served"
)
def unbounded_dim(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    for target, each in network.spec.targets.items():
        if each.ep not in ENGINES:
            continue
        for name, dim in network.spec.dims.items():
            if each.shapes.get(name, dim).max is None:
                message = f"'{name}' has no max, so the engine of target '{target}' has no range for it"
                yield Problem(message, at=network.place("dims", name))


@unbounded_dim.bad
def any_height_on_tensorrt() -> str:
    return """
        graphc: 1
        dims: {H: {min: 8, opt: 64}}
        inputs: {x: "f32[1, 64, H, 64]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        targets:
          gpu: {ep: TensorrtExecutionProvider}
    """


@unbounded_dim.good
def bounded() -> str:
    return """
        graphc: 1
        dims: {H: {min: 8, opt: 64, max: 128}}
        inputs: {x: "f32[1, 64, H, 64]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        targets:
          gpu: {ep: TensorrtExecutionProvider}
    """


@unbounded_dim.good
def bounded_for_the_target() -> str:
    return """
        graphc: 1
        dims: {H: {min: 8, opt: 64}}
        inputs: {x: "f32[1, 64, H, 64]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        targets:
          cpu: {ep: CPUExecutionProvider}
          gpu: {ep: TensorrtExecutionProvider, shapes: {H: 64}}
    """
