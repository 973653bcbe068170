"""Replace the strided slices of every phase, concatenated, with SpaceToDepth.

Law    concat(x[i::b, j::b] for all phases (i, j)) = space_to_depth(x)      and a Gather where the phases come in
       another order than row by row
Why    one copy of the activation for b² + 1; the stem of detectors is written so ("focus").
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import product
from random import Random

import numpy as np
import onnx_ir as ir

from graphc import Case, CaseBuilder, Refusal, Tape, View, require, rewrite
from graphc_passes.nodes.slicing import TO_THE_END, Cut, read_slice, sliced


@rewrite("Concat", numerics="exact", improves=("nodes",))
def replace_slices_with_space_to_depth(concat: View, op: Tape) -> ir.Value:
    parts = [_sliced(concat, value) for value in concat.inputs() if value is not None]
    source, block = parts[0][0], parts[0][1].step
    if source.shape is None or len(source.shape) != 4 or concat.attr("axis") not in (1, -3):
        raise Refusal("no channels are concatenated")
    require(all(part is source for part, _, _ in parts), "the slices are not of one value")
    cuts = [cut for _, *pair in parts for cut in pair]
    require(all(cut.step == block and cut.stop >= np.iinfo(np.int32).max for cut in cuts), "they are not whole phases")
    phases = [(row.start, column.start) for _, row, column in parts]
    order = list(product(range(block), repeat=2))
    require(sorted(phases) == order, "some phase is missing or twice")
    made = op.SpaceToDepth(source, blocksize=block)
    if phases == order:
        return made
    channels = source.shape[1]
    if not isinstance(channels, int):
        raise Refusal("the number of channels is not known")
    places = [order.index(phase) for phase in phases]
    return op.Gather(
        made, op.constant(np.arange(channels * block**2).reshape(block**2, -1)[places].reshape(-1)), axis=1
    )


def _sliced(concat: View, value: ir.Value) -> tuple[ir.Value, Cut, Cut]:
    """(what is sliced, rows, columns), through one Slice of both axes or two of one each."""
    cuts: dict[int, Cut] = {}
    while True:
        node = value.producer()
        if node is None or node.op_type != "Slice" or len(cuts) > 1:
            break
        view = concat.made_by(value, "Slice")
        found = read_slice(view)
        if not set(found) <= {2, 3} - set(cuts):
            raise Refusal("another axis than height and width is sliced")
        cuts |= found
        value = view.required("data")
    if len(cuts) != 2:
        raise Refusal("a part is no slice of height and width")
    return value, cuts[2], cuts[3]


def _focus(
    g: CaseBuilder, *, x: tuple[int | str, ...], phases: list[tuple[int, int]], block: int = 2, chained: bool = False
) -> ir.Value:
    data = g.Relu(g.input(*x))
    parts = []
    for row, column in phases:
        cuts = {2: Cut(row, TO_THE_END, block), 3: Cut(column, TO_THE_END, block)}
        if chained:
            parts.append(sliced(g, sliced(g, data, {2: cuts[2]}), {3: cuts[3]}))
        else:
            parts.append(sliced(g, data, cuts))
    return g.Concat(*parts, axis=1)


ROWS = [(0, 0), (0, 1), (1, 0), (1, 1)]
COLUMNS = [(0, 0), (1, 0), (0, 1), (1, 1)]  # as detectors write it


@replace_slices_with_space_to_depth.cases
def cases() -> Iterator[Case]:
    yield Case("row by row", partial(_focus, x=(1, 3, 4, 6), phases=ROWS))
    yield Case(
        "column by column, one axis after the other", partial(_focus, x=(2, 3, 4, 6), phases=COLUMNS, chained=True)
    )
    yield Case("block 3", partial(_focus, x=("N", 2, 3, 6), phases=[*product(range(3), range(3))], block=3))
    yield Case(
        "a phase twice",
        partial(_focus, x=(1, 2, "H", "W"), phases=[(0, 0), (0, 0)]),
        refuses="some phase is missing or twice",
    )
    yield Case(
        "of two values",
        lambda g: g.Concat(*(sliced(g, g.input(1, 2, 4, 4), _phase(*phase)) for phase in ROWS), axis=1),
        refuses="the slices are not of one value",
    )
    yield Case("steps of 2 and 1", _uneven, refuses="they are not whole phases")


def _phase(row: int, column: int) -> dict[int, Cut]:
    return {2: Cut(row, TO_THE_END, 2), 3: Cut(column, TO_THE_END, 2)}


def _uneven(g: CaseBuilder) -> ir.Value:
    """Four parts of the right shape, of which one takes two columns that lie side by side."""
    data = g.input(1, 2, 4, 4)
    parts = [sliced(g, data, _phase(*phase)) for phase in ROWS[:3]]
    return g.Concat(*parts, sliced(g, data, {2: Cut(1, TO_THE_END, 2), 3: Cut(1, 3, 1)}), axis=1)


@replace_slices_with_space_to_depth.samples
def samples(random: Random) -> Case:
    block = random.randint(1, 3)
    phases = [*product(range(block), range(block))]
    if random.random() < 0.5:
        random.shuffle(phases)
    x = (random.choice((1, "N")), random.randint(1, 3), block * random.randint(1, 3), block * random.randint(1, 3))
    chained = random.random() < 0.5
    return Case(f"{list(x)} {phases}", partial(_focus, x=x, phases=phases, block=block, chained=chained))
