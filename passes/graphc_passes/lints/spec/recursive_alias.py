"""An alias inside the value that it names.

Why    it would be a value that holds itself; a spec is finite.
"""

from __future__ import annotations

from graphc import reported

recursive_alias = reported("spec/recursive-alias", help="use 'repeat', or a block")


@recursive_alias.bad
def a_list_in_itself() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes: &all
          - {id: y, repeat: 2, do: *all}
    """


@recursive_alias.good
def after_it() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        nodes:
          - {repeat: 2, do: &body [relu, tanh]}
          - {id: y, repeat: 2, do: *body}
    """
