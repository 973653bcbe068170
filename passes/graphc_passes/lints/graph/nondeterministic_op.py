"""An operator that draws random numbers, and no seed says which.

Why    two runs of one model on one input differ: nothing that was measured can be measured again, no output can be
       compared with a reference, and a fault that depends on the draw cannot be found.
"""

from __future__ import annotations

from graphc import CaseBuilder, View, lint

# Not Dropout: in inference it does nothing, and training-node-in-inference says where it trains.
RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")


@lint(*RANDOM, category="graph", severity="info", help="set its `seed`, or make the noise an input")
def nondeterministic_op(node: View) -> str | None:
    return None if "seed" in node.node.attributes else "it draws random numbers without a seed"


@nondeterministic_op.bad
def noise(g: CaseBuilder) -> object:
    x = g.input(1, 3, 8, 8)
    return g.Add(x, g.RandomNormalLike(x, scale=0.1))


@nondeterministic_op.good
def seeded(g: CaseBuilder) -> object:
    x = g.input(1, 3, 8, 8)
    return g.Add(x, g.RandomNormalLike(x, scale=0.1, seed=1.0))


@nondeterministic_op.good
def from_outside(g: CaseBuilder) -> object:
    return g.Add(g.input(1, 3, 8, 8), g.input(1, 3, 8, 8))
