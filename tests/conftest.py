"""Python's collector of cycles leaves the collected tests alone: thousands of them live until the end."""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
