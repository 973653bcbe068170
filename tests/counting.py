"""Numbers that count what is done to them, so that an algorithm says itself what it costs."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

TALLY = Counter()


class Number:
    """A float that counts what is done to it."""

    def __init__(self, value):
        self.value = float(value)

    def __add__(self, other):
        return counted("add", self.value + float(other))

    def __sub__(self, other):
        return counted("add", self.value - float(other))

    def __mul__(self, other):
        return counted("mul", self.value * float(other))

    def __truediv__(self, other):
        return counted("div", self.value / float(other))

    def __float__(self):
        return self.value


def counted(kind, value):
    TALLY[kind] += 1
    return Number(value)


def mac(total, left, right):
    """A step of a contraction."""
    return counted("mac", float(total) + float(left) * float(right))


def affine(total, left, right):
    """A product and a sum that are no step of a contraction."""
    return Number(left) * right + total


def larger(left, right):
    return counted("cmp", max(float(left), float(right)))


def clip(x, low, high):
    return counted("cmp", min(max(float(x), low), high))


def function(of, *arguments):
    return counted("transcendental", of(*map(float, arguments)))


def exp(x):
    return function(math.exp, x)


def sigmoid(x):
    return counted("div", 1 / float(exp(-float(x)) + 1))


def tanh(x):
    return function(math.tanh, x)


def softplus(x):
    return function(math.log, exp(x) + 1)


def below_zero(x, otherwise):
    """A branch whose side below zero does the work."""
    TALLY["cmp"] += 1
    return otherwise(x) if float(x) < 0 else x


def add_up(numbers):
    first, *rest = numbers
    for number in rest:
        first = first + number
    return first


def largest(numbers):
    first, *rest = numbers
    for number in rest:
        first = larger(first, number)
    return first


def standardise(numbers, epsilon=1e-5):
    mean = add_up(numbers) / len(numbers)
    centred = [x - mean for x in numbers]
    variance = Number(0)
    for x in centred:
        variance = affine(variance, x, x)
    variance = variance / len(numbers)
    scale = Number(1) / function(math.sqrt, variance + epsilon)
    return [x * scale for x in centred]


def squares(numbers):
    total = Number(0)
    for x in numbers:
        total = affine(total, x, x)
    return total


def softmax(numbers):
    top = largest(numbers)
    powers = [exp(x - top) for x in numbers]
    below = add_up(powers)
    return [x / below for x in powers]


def log_softmax(numbers):
    top = largest(numbers)
    less = [x - top for x in numbers]
    below = function(math.log, add_up([exp(x) for x in less]))
    return [x - below for x in less]


def inner(total, left, right):
    for a, b in zip(left, right, strict=True):
        total = mac(total, a, b)
    return total


def numbers(array):
    return np.vectorize(Number, otypes=[object])(array)
