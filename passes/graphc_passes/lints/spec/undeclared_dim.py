"""A dimension in a type, or one that a target narrows, which `dims` does not declare.

Why    whether H and h are one size decides which shapes agree, so every dimension is declared.
"""

from __future__ import annotations

from graphc import reported

undeclared_dim = reported("spec/undeclared-dim", help="give it a size or a range in 'dims'")


@undeclared_dim.bad
def in_a_type() -> str:
    return """
        graphc: 1
        dims: {N: 1}
        inputs: {x: "f32[N, n]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """


@undeclared_dim.good
def declared() -> str:
    return """
        graphc: 1
        dims: {N: 1, D: 4}
        inputs: {x: "f32[N, D]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """
