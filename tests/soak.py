"""The long run: random cases of every rewrite, each refused or the same function. Prints and writes a summary.

    python tests/soak.py [CASES] [--write]

`make test` takes the first 5,000 of the same cases. `--write` puts the summary into tests/SOAK.md. Exit code 1 if any
case went wrong; each is printed with its seed: `rewrite.sample(Random(seed))` makes it again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rich.progress import Progress

from graphc import laws
from graphc.errors import GraphcError
from graphc.pipeline import find_rewrite, rewrites

PAGE = Path(__file__).with_name("SOAK.md")
CASES = 100_000
CHUNK = 100


@dataclass
class Tally:
    """What became of some cases of one rewrite; `wrong` holds (seed, case, what went wrong)."""

    cases: int = 0
    fired: int = 0
    wrong: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take in another tally."""
        self.cases += other.cases
        self.fired += other.fired
        self.wrong += other.wrong


def run(name: str, seeds: range) -> Tally:
    """The cases of these seeds."""
    rewrite, tally = find_rewrite(name), Tally()
    for seed in seeds:
        case = rewrite.sample(Random(seed))
        tally.cases += 1
        try:
            tally.fired += laws.samples_stay_right(rewrite, case)
        except (AssertionError, GraphcError) as error:
            tally.wrong.append((seed, case.name, str(error)))
    return tally


def soak(cases: int) -> dict[str, Tally]:
    """That many cases, spread over all rewrites and all cores."""
    names = sorted(rewrites())
    each = -(-cases // len(names))
    found = {name: Tally() for name in names}
    with ProcessPoolExecutor(os.cpu_count()) as pool, Progress(disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("cases", total=each * len(names))
        jobs = {pool.submit(run, name, seeds): name for name in names for seeds in chunks(each)}
        for job in as_completed(jobs):
            tally = job.result()
            found[jobs[job]].add(tally)
            progress.advance(task, tally.cases)
            for seed, case, error in tally.wrong:
                print(f"WRONG {jobs[job]} seed {seed}: {case}: {error}", flush=True)
    return found


def chunks(count: int) -> Iterator[range]:
    """0 ... count in pieces."""
    return (range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK))


def page(found: dict[str, Tally]) -> str:
    """The summary as Markdown."""
    total = Tally()
    for tally in found.values():
        total.add(tally)
    rows = [*found.items(), ("**all**", total)]
    lines = ["| rewrite | cases | fired | wrong |", "| --- | ---: | ---: | ---: |"]
    lines += [f"| {name} | {tally.cases:,} | {tally.fired:,} | {len(tally.wrong):,} |" for name, tally in rows]
    return (
        "# Soak\n\nWhat `make soak` printed last: random cases of every rewrite, in float64 by the reference and in "
        "the model's own type on ONNX Runtime. Where none fired, the case was refused or no valid model.\n\n"
        + "\n".join(lines)
        + "\n"
    )


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdigit()]
    tallies = soak(numbers[0] if numbers else CASES)
    print(page(tallies))
    if "--write" in sys.argv:
        PAGE.write_text(page(tallies), "utf-8")
    sys.exit(any(tally.wrong for tally in tallies.values()))
