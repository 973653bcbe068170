"""A place that a lint could not look at to the end: a limit, a size that only the data knows, a function's parameter.

Why    an analysis that could not be finished is not to look like a pass.
"""

from __future__ import annotations

from graphc import CaseBuilder, reported

not_analysed = reported(
    "run/not-analysed",
    severity="warning",
    help="give the lint what it misses, or suppress this finding with the reason why it may",
)


@not_analysed.bad
def a_kernel_too_large_to_count(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 1, 8), g.weight(1, 1, 3), strides=(1 << 40,))


@not_analysed.good
def a_kernel_of_a_usual_size(g: CaseBuilder) -> object:
    return g.ConvTranspose(g.input(1, 1, 8), g.weight(1, 1, 4), strides=(2,))
