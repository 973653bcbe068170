"""A spec, a weight file or a model that asks for more than a limit allows: bytes, levels, items, nodes.

Why    what is read is untrusted, and a few lines can ask for more than any machine has. Every limit can be raised.
"""

from __future__ import annotations

from graphc import reported

limit_exceeded = reported("spec/limit-exceeded", help="ask for less, or raise the limit: --limit NAME=VALUE")


@limit_exceeded.bad
def deeply_nested() -> str:
    return f"""
        graphc: 1
        inputs: {{x: "f32[1, 4, 8, 8]"}}
        outputs: [y]
        nodes:
          - {{id: y, scale: {"[" * 50}1{"]" * 50}}}
        """


@limit_exceeded.bad
def doubled_twenty_times() -> str:
    blocks = ", ".join(f"b{n}: {{do: [b{n - 1}, b{n - 1}]}}" for n in range(1, 21))
    return f"""
        graphc: 1
        inputs: {{x: "f32[1, 4, 8, 8]"}}
        outputs: [y]
        blocks: {{b0: {{do: [relu, tanh]}}, {blocks}}}
        nodes:
          - {{id: y, op: b20}}
        """


@limit_exceeded.good
def doubled_twice() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 4, 8, 8]"}
        outputs: [y]
        blocks:
          b0: {do: [relu, tanh]}
          b1: {do: [b0, b0]}
          b2: {do: [b1, b1]}
        nodes:
          - {id: y, op: b2}
        """
