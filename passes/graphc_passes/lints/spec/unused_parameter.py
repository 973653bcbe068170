"""A parameter, a dimension or an input of a block that nothing reads.

Why    setting it changes nothing: `--set depth=20` builds the network of before under another name.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Problem, Subject, lint
from graphc_passes.lints.spec._unused import unused


@lint(on="spec", category="spec", severity="warning", help="remove it, or use it where it was meant")
def unused_parameter(subject: Subject) -> Iterator[Problem]:
    yield from unused(subject, "parameter", "dimension", "input")


@unused_parameter.bad
def of_the_spec() -> str:
    return """
        graphc: 1
        params: {slope: 0.2, depth: 3}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: =slope}
    """


@unused_parameter.bad
def set_by_a_variant_and_read_by_nothing() -> str:
    return """
        graphc: 1
        params: {slope: 0.2, depth: 3}
        variants:
          deep: {depth: 9}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, leaky_relu: =slope}
    """


@unused_parameter.bad
def hidden_by_that_of_a_block() -> str:
    return """
        graphc: 1
        params: {slope: 0.2}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          soft: {params: {slope: 0.1}, do: [{leaky_relu: =slope}]}
        nodes:
          - {id: y, op: soft}
    """


@unused_parameter.bad
def of_a_block() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          soft: {params: {slope: 0.1, steep: 2}, do: [{leaky_relu: =slope}]}
        nodes:
          - {id: y, soft: {steep: 3}}
    """


@unused_parameter.bad
def an_input_of_a_block() -> str:
    return """
        graphc: 1
        inputs: {a: "f32[1, 4, 8, 8]", b: "f32[1, 4, 8, 8]"}
        outputs: [y, z]
        blocks:
          halve: {inputs: [v, w], do: [{scale: 0.5, from: v}]}
        nodes:
          - {id: y, op: halve, from: [a, b]}
          - {id: z, op: relu, from: b}
    """


@unused_parameter.bad
def a_dimension() -> str:
    return """
        graphc: 1
        dims: {C: 4, H: 8}
        inputs: {x: "f32[1, C, 8, 8]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """


@unused_parameter.good
def read_in_one_variant_only() -> str:
    return """
        graphc: 1
        params: {slope: 0.2, soft: false}
        variants:
          soft: {soft: true}
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {when: =soft, leaky_relu: =slope}
          - {id: y, op: tanh}
    """


@unused_parameter.good
def read_by_a_type_a_block_and_a_derived_value() -> str:
    return """
        graphc: 1
        params: {width: 4, slope: 0.2, depth: 3}
        let: {times: =depth - 1}
        dims: {H: 8}
        inputs: {x: "f32[1, width, H, 2*H]"}
        outputs: [y]
        blocks:
          soft: {params: {by: 1}, do: [{leaky_relu: =slope * by}]}
        nodes:
          - {id: y, repeat: =times, do: [{soft: =i + 1}]}
    """
