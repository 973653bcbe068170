"""How much a spec, a weight file or a model may ask for. Everything graphc reads is untrusted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds on untrusted input, a value that a caller can tighten: `Limits(graph_nodes=1000)`.

    Sizes are in bytes, times in seconds, everything else is a count. The CLI takes `--limit graph-nodes=1000`.
    """

    spec_bytes: int = 1 << 20
    spec_depth: int = 40
    spec_nodes: int = 50_000
    spec_aliases: int = 64
    graph_nodes: int = 20_000
    graph_depth: int = 16  # graphs in graphs: branches and loop bodies
    block_depth: int = 32
    weight_bytes: int = 2 << 30
    archive_ratio: int = 200  # uncompressed : compressed, above 64 MiB uncompressed
    archive_members: int = 100_000
    worker_bytes: int = 16 << 30  # of address space, for the process that lints one file after the other
    worker_seconds: int = 120  # for one file, by the clock


DEFAULT = Limits()
