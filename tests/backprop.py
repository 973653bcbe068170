"""Reverse mode, one number at a time, counting what it does and for which operand.

A leaf carries the name of its operand; everything between leaves and outputs is "shared". COUNTS[operand] says what the
gradient towards that operand took.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np

COUNTS = defaultdict(Counter)
TAPE = []


class Var:
    """A number, the operand it belongs to, and the gradient that has arrived so far."""

    def __init__(self, value, of="shared"):
        self.value, self.of, self.grad = float(value), of, None

    def receive(self, part):
        """A contribution to the gradient; each but the first is an add."""
        if self.grad is not None:
            COUNTS[self.of]["add"] += 1
        self.grad = part + (self.grad or 0.0)

    def receive_product(self, left, right):
        """A contribution that is a product, added on in one go."""
        COUNTS[self.of]["mac"] += 1
        self.grad = left * right + (self.grad or 0.0)

    def receive_scaled(self, left, right):
        """A contribution that is a product of its own."""
        COUNTS[self.of]["mul"] += 1
        self.receive(left * right)


def leaves(array, of):
    return np.vectorize(lambda value: Var(value, of), otypes=[object])(array)


def dot(left, right, start=()):
    """Σ left·right, and what is added besides."""
    left, right = list(left), list(right)
    out = Var(sum(a.value * b.value for a, b in zip(left, right, strict=True)) + sum(s.value for s in start))

    def back():
        for a, b in zip(left, right, strict=True):
            a.receive_product(out.grad, b.value)
            b.receive_product(out.grad, a.value)
        for s in start:
            s.receive(out.grad)

    TAPE.append((out, back))
    return out


def times(a, b):
    out = Var(a.value * b.value)

    def back():
        a.receive_scaled(out.grad, b.value)
        b.receive_scaled(out.grad, a.value)

    TAPE.append((out, back))
    return out


def scaled(a, factor):
    out = Var(a.value * factor)
    TAPE.append((out, lambda: a.receive_scaled(out.grad, factor)))
    return out


def plus(a, b, sign=1):
    out = Var(a.value + sign * b.value)

    def back():
        a.receive(out.grad)
        b.receive(sign * out.grad)

    TAPE.append((out, back))
    return out


def one_minus(a):
    out = Var(1 - a.value)
    TAPE.append((out, lambda: a.receive(-out.grad)))
    return out


def _from_output(a, value, slope):
    """A function whose slope is two factors of its output: g·y·(1 − y) or g·(1 − y·y)."""
    out = Var(value)

    def back():
        COUNTS["shared"].update(mul=2, add=1)
        a.receive(out.grad * slope)

    TAPE.append((out, back))
    return out


def sigmoid(a):
    y = 1 / (1 + math.exp(-a.value))
    return _from_output(a, y, y * (1 - y))


def tanh(a):
    y = math.tanh(a.value)
    return _from_output(a, y, 1 - y * y)


def softmax(row):
    powers = [math.exp(x.value) for x in row]
    outs = [Var(p / sum(powers)) for p in powers]

    def back():
        mean = sum(y.grad * y.value for y in outs)
        COUNTS["shared"].update(mul=2 * len(outs), add=2 * len(outs) - 1)
        for x, y in zip(row, outs, strict=True):
            x.receive(y.value * (y.grad - mean))

    for out in outs[1:]:
        TAPE.append((out, lambda: None))
    TAPE.append((outs[0], back))
    return outs


def gradients(algorithm, *arrays, names):
    """Run forward and backward from Σ of all outputs. Returns the gradients, checked against differences."""
    COUNTS.clear()
    TAPE.clear()
    operands = [leaves(array, name) for array, name in zip(arrays, names, strict=True)]
    for out in np.ravel(np.array(algorithm(*operands), dtype=object)):
        out.grad = 1.0 + (out.grad or 0.0)
    for out, back in reversed(TAPE):
        if out.grad is None:
            out.grad = 0.0
        back()
    found = [np.vectorize(lambda v: v.grad or 0.0, otypes=[float])(operand) for operand in operands]
    counted = {name: dict(counts) for name, counts in COUNTS.items()}
    _check_differences(algorithm, arrays, names, found)
    return counted


def _check_differences(algorithm, arrays, names, found):
    """Central differences: their error is h² times a third derivative, and rounding over h; h balances the two."""
    h = np.finfo(float).eps ** (1 / 3)

    def total(index, place, step):
        moved = [array.astype(float).copy() for array in arrays]
        moved[index][place] += step
        outs = algorithm(*(leaves(array, name) for array, name in zip(moved, names, strict=True)))
        return sum(out.value for out in np.ravel(np.array(outs, dtype=object)))

    for index, array in enumerate(arrays):
        place = np.unravel_index(array.size // 2, array.shape)
        slope = (total(index, place, h) - total(index, place, -h)) / (2 * h)
        size = max(1.0, abs(total(index, place, 0.0)))
        assert abs(slope - found[index][place]) <= 100 * h**2 * size
