"""Random cases of every rewrite: refused, or the same function. `make soak` runs many more (tests/soak.py)."""

from __future__ import annotations

from random import Random

import pytest

from graphc import laws
from graphc.pipeline import find_rewrite, rewrites
from graphc.rewriting import Rewrite

CASES = 5000  # over all rewrites
NAMES = sorted(rewrites())
EACH = -(-CASES // len(NAMES))
LEAST_FIRED = 0.05  # of the samples: a sampler whose cases are refused shows nothing


@pytest.mark.parametrize("rewrite", [find_rewrite(name) for name in NAMES], ids=NAMES)
def test_random_cases_stay_right(rewrite: Rewrite) -> None:
    fired = 0
    for seed in range(EACH):
        case = rewrite.sample(Random(seed))
        try:
            fired += laws.samples_stay_right(rewrite, case)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {case.name}: {error}") from error
    assert fired >= LEAST_FIRED * EACH, f"it fired on {fired} of {EACH} samples"
