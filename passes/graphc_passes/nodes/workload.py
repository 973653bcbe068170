"""How much work a convolution is: lints speak where it matters."""

from __future__ import annotations

from graphc import Convolution, GraphcError, Refusal, View, read_convolution
from graphc_passes.nodes.stated import known_sizes

ANY_SIZE = 128  # a side of an image whose size only the data knows
WORTH = 10_000_000  # multiply-adds: about half a millisecond of one core
MOST_TAPS = 1 << 12  # along an axis; a filter that is computed may state any size


def of_one(conv: View, any_size: int | None = None) -> Convolution | None:
    """What a Conv or ConvTranspose does with one sample.

    None where a size is not known, unless `any_size` stands for it, and where the node contradicts itself, which the
    lints of the graph say. Raises Refusal for a kernel too long to be gone through.
    """
    data, filter_ = conv.input("X"), conv.input("W")
    if data is None or filter_ is None or data.shape is None:
        return None
    sizes = [size if isinstance(size, int) else any_size for size in data.shape[2:]]
    known = [size for size in sizes if size is not None and size >= 0]
    if len(known) < len(sizes):
        return None
    try:
        outer, inner, *taps = known_sizes(filter_)
        channels = outer if conv.op_type == "ConvTranspose" else inner * conv.attr("group")
        found = read_convolution(conv, [1, channels, *known])
    except (Refusal, GraphcError, ValueError):
        return None
    if max(taps, default=0) > MOST_TAPS:
        raise Refusal(f"its kernel has more than {MOST_TAPS} taps along an axis")
    return found


def macs_of(conv: View) -> int:
    """Multiply-adds for one sample; 0 where they cannot be known."""
    try:
        found = of_one(conv, ANY_SIZE)
    except Refusal:
        return 0
    return 0 if found is None else found.macs
