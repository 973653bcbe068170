"""A few bytes that become gigabytes or millions of nodes once somebody reads them in earnest.

Why    functions that call the next one twice, 24 deep, are 1.5 kB and 16 million nodes; ones that call themselves never
       end; a ConstantOfShape of 2^40 elements loads everywhere and runs nowhere.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.security._models import SUM, write

expansion_bomb = reported("security/expansion-bomb", help="do not run this model, and ask where it comes from")

HEAD = '<ir_version: 8, opset_import: ["" : 20, "d" : 1]> g (float[2, 3] x) => (float[2, 3] y) { y = d.f0(x) }\n'
FUNCTION = '<domain: "d", opset_import: ["" : 20, "d" : 1]> f{here} (x) => (y) {{ {body} }}\n'


@expansion_bomb.bad
def doubling_functions(folder: Path) -> Path:
    calls = "t = d.f{next}(x)\n y = d.f{next}(t)"
    levels = [FUNCTION.format(here=i, body=calls.format(next=i + 1)) for i in range(24)]
    return write(folder, HEAD + "".join(levels) + FUNCTION.format(here=24, body="y = Relu(x)"))


@expansion_bomb.bad
def a_function_that_calls_itself(folder: Path) -> Path:
    return write(folder, HEAD + FUNCTION.format(here=0, body="y = d.f0(x)"))


@expansion_bomb.bad
def functions_that_call_each_other(folder: Path) -> Path:
    two = FUNCTION.format(here=0, body="y = d.f1(x)") + FUNCTION.format(here=1, body="y = d.f0(x)")
    return write(folder, HEAD + two)


@expansion_bomb.bad
def a_constant_of_terabytes(folder: Path) -> Path:
    body = "{ s = Constant <value_ints = [1099511627776]> ()\n y = ConstantOfShape(s) }"
    return write(folder, SUM.partition("=>")[0] + "=> (float[N] y) " + body)


@expansion_bomb.good
def a_function_called_twice(folder: Path) -> Path:
    body = FUNCTION.format(here=0, body="t = d.f1(x)\n y = d.f1(t)") + FUNCTION.format(here=1, body="y = Sigmoid(x)")
    return write(folder, HEAD + body)
