"""What work costs: a frozen value that adds up, and a total that says what it could not count.

Counts are of the algorithm, not of a kernel. Every count is a Python int, so none overflows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from operator import add, attrgetter


@dataclass(frozen=True)
class Cost:
    """Counted work. `add` holds subtractions too; bytes are operands, each once.

    `mac` is a multiply-add of a contraction: a convolution, a product of matrices, an interpolation. That is what
    papers and tools call MACs. The affine map of a normalisation or the squares of a variance are a `mul` and an `add`
    each. Counts are dense: taps on padding and masked pairs count. `padding_mac` says how many of the multiply-adds are
    such, `padding_step` how many of the other operations; `stretching_mac` how many multiply-adds more (fewer:
    negative) an algorithm does that stretches an operand with zeros and then slides at stride 1.

    `transcendental` is one evaluation of exp, log, sqrt, pow, erf, a trigonometric function or the like.
    """

    mac: int = 0
    add: int = 0
    mul: int = 0
    cmp: int = 0
    div: int = 0
    transcendental: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    padding_mac: int = 0
    padding_step: int = 0
    stretching_mac: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(*map(add, _counts(self), _counts(other)))

    def __mul__(self, times: int) -> Cost:
        return Cost(*(count * times for count in _counts(self)))

    __rmul__ = __mul__

    @property
    def effective_mac(self) -> int:
        """Multiply-adds on real elements: padding and masked pairs left out."""
        return self.mac - self.padding_mac

    @property
    def zero_insertion_mac(self) -> int:
        """Multiply-adds of the stride-1 algorithm over operands stretched with zeros; elsewhere as many as `mac`."""
        return self.mac + self.stretching_mac

    @property
    def flops(self) -> int:
        """Floating-point operations: 2·mac and one for each of the rest."""
        return 2 * self.mac + self.add + self.mul + self.cmp + self.div + self.transcendental

    @property
    def effective_flops(self) -> int:
        """Floating-point operations on real elements."""
        return self.flops - 2 * self.padding_mac - self.padding_step

    @property
    def bytes(self) -> int:
        """Bytes read and written."""
        return self.bytes_read + self.bytes_written


_counts = attrgetter(*(each.name for each in fields(Cost)))
ZERO = Cost()


def macs(dense: int, effective: int, zero_insertion: int) -> Cost:
    """The cost of that many multiply-adds, counted in all three ways."""
    return Cost(mac=dense, padding_mac=dense - effective, stretching_mac=zero_insertion - dense)


@dataclass(frozen=True)
class Total:
    """The cost of what could be counted, and the names of what could not: that part is unknown, not zero."""

    cost: Cost = field(default=ZERO)
    uncosted: tuple[str, ...] = ()

    def __add__(self, other: Total) -> Total:
        return Total(self.cost + other.cost, self.uncosted + other.uncosted)

    @property
    def complete(self) -> bool:
        """Whether everything was counted."""
        return not self.uncosted
