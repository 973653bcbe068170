"""A file that is not the one that was pinned.

Why    it was changed after somebody looked at it: by a new download, or by somebody else.
"""

from __future__ import annotations

from pathlib import Path

from graphc import reported
from graphc_passes.lints.security._specs import good_weights, with_weights

hash_mismatch = reported("security/hash-mismatch", help="check what changed before you change the pin")


@hash_mismatch.bad
def of_weights(folder: Path) -> Path:
    return with_weights(folder, good_weights(), pin="0" * 64)


@hash_mismatch.good
def as_pinned(folder: Path) -> Path:
    return with_weights(folder, good_weights())
