"""How long an inference takes here: a median with the interval that noise leaves it, of several models or sizes.

The n runs of one are taken in turn with those of the others, so that a machine that grows slower or faster does so for
all of them. Of n independent times the k-th smallest and the k-th largest hold the median between them with the
probability 1 − 2·P(B < k), B binomial of n trials at 1/2, whatever the distribution of the times. That holds for noise
that is independent from run to run; a machine that is busy for seconds shifts all times, which no repetition shows.
Source: H. A. David, H. N. Nagaraja, Order Statistics, 2003, section 7.1.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import comb

import onnx_ir as ir

from graphc.runtime.feeds import make_feeds
from graphc.runtime.session import Provider, Session, session
from graphc.runtime.sizes import bindings

ROUNDS, LEAST = 31, 6  # runs at each size; fewer where they take long, but 6 at least, which the interval needs
SECONDS = 20.0  # for all runs together
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Latency:
    """The median of some runs, in seconds, and the interval that holds the true one with `confidence`."""

    median: float
    low: float
    high: float
    runs: int
    confidence: float

    def is_below(self, other: Latency) -> bool:
        """Whether it is less than another one for sure."""
        return self.high < other.low


def latencies(
    runs: Sequence[tuple[ir.Model, Mapping[str, int]]],
    *,
    provider: Provider = "cpu",
    threads: int | None = None,
    rounds: int = ROUNDS,
) -> list[Latency]:
    """The latency of each model at its sizes, with ONNX Runtime's optimiser on, as in deployment.

    Raises GraphcError as `session` and `make_feeds`.
    """
    feeds = [make_feeds(model, 0, 0, bindings(model, sizes), {}) for model, sizes in runs]
    times: list[list[float]] = [[] for _ in runs]
    with ExitStack() as files:
        opened: dict[int, Session] = {}
        for model, _ in runs:
            if id(model) not in opened:
                made = session(model, provider=provider, threads=threads, optimise=True)
                opened[id(model)] = files.enter_context(made)
        turns = [(opened[id(model)], feed) for (model, _), feed in zip(runs, feeds, strict=True)]
        for each, feed in turns:
            each.run(feed)  # warm
        begun = time.perf_counter()
        for index in range(max(rounds, LEAST)):
            if index >= LEAST and time.perf_counter() - begun > SECONDS:
                break
            for (each, feed), found in zip(turns, times, strict=True):
                started = time.perf_counter()
                each.run(feed)
                found.append(time.perf_counter() - started)
    return [of_times(found) for found in times]


def of_times(times: Sequence[float]) -> Latency:
    """The median of at least 6 times with its interval."""
    ordered, n = sorted(times), len(times)
    rank = interval_rank(n)
    middle = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    return Latency(middle, ordered[rank - 1], ordered[n - rank], n, _coverage(n, rank))


def interval_rank(n: int) -> int:
    """The largest k such that the k-th smallest and the k-th largest of n hold the median with `CONFIDENCE`."""
    fitting = [rank for rank in range(1, n // 2 + 1) if _coverage(n, rank) >= CONFIDENCE]
    if not fitting:
        raise ValueError(f"{n} times hold the median with less than {CONFIDENCE}")
    return fitting[-1]


def _coverage(n: int, rank: int) -> float:
    return 1 - 2 * sum(comb(n, below) for below in range(rank)) / 2**n
