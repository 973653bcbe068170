"""A variant, an import or `--set` that gives a parameter which the spec does not have.

Why    the value would be ignored, and the variant be the same network as without it.
"""

from __future__ import annotations

from graphc import reported

unknown_override = reported("spec/unknown-override", help="take a name of `params`")


@unknown_override.bad
def by_a_variant() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {slope: 0.2}
        variants:
          steep: {slpe: 0.5}
        nodes:
          - {id: y, leaky_relu: =slope}
    """


@unknown_override.bad
def a_derived_value() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {slope: 0.2}
        let: {half: =slope / 2}
        variants:
          steep: {half: 0.5}
        nodes:
          - {id: y, leaky_relu: =half}
    """


@unknown_override.good
def of_a_parameter() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        params: {slope: 0.2}
        variants:
          steep: {slope: 0.5}
        nodes:
          - {id: y, leaky_relu: =slope}
    """
