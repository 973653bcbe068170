"""A target that the settings name, or `--target`, and that neither graphc ships nor the spec has.

Why    what no target is known of cannot be told for it: the model would pass every lint about its target.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import CaseBuilder, GraphcError, Problem, Subject, find_target, lint, providers, suggest, targets


@lint(category="spec", severity="error", help="take a target that graphc ships, or the YAML file of one")
def unknown_target(subject: Subject) -> Iterator[Problem]:
    name = subject.settings.target
    own = subject.network.spec.targets if subject.network is not None else {}
    if name is None or name in providers() or name in own:
        return
    try:
        find_target(name, subject.limits)
    except GraphcError as error:
        if error.code != "spec/unknown-target":
            raise
        yield Problem(error.message, help=suggest(name, [*targets(), *providers(), *own]))


@unknown_target.bad(target="portabel")
def mistyped(g: CaseBuilder) -> object:
    return g.Relu(g.input(1, 4, 8, 8))


@unknown_target.good(target="portable")
def shipped(g: CaseBuilder) -> object:
    return g.Relu(g.input(1, 4, 8, 8))


@unknown_target.good(target="ort-cpu")
def onnx_runtime(g: CaseBuilder) -> object:
    return g.Relu(g.input(1, 4, 8, 8))


@unknown_target.good(target="edge")
def of_the_spec_itself() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        targets:
          edge: {precision: fp32}
    """
