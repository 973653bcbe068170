"""What lints of numerics ask for beyond the graph: what a run on extreme inputs gives, and what a certificate says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import onnx_ir as ir

from graphc.errors import GraphcError
from graphc.linting.subject import Subject
from graphc.metadata import CERTIFICATE
from graphc.runtime.feeds import make_feeds
from graphc.runtime.session import session
from graphc.runtime.sizes import bindings

if TYPE_CHECKING:
    from graphc.certificate import Certificate

EXTREMES = {"zeros": 0.0, "ones": 1.0, "large numbers": 1e4, "large negative numbers": -1e4}
SEEDS = 3  # of random inputs besides


def extremes(subject: Subject) -> Iterator[tuple[str, str]]:
    """Runs the model on zeros, ones, large and random numbers: each kind of input, and an output not finite on it.

    Integer inputs are drawn within their range. Raises GraphcError where the model cannot be run.
    """
    model = subject.weighted
    sizes = bindings(model, {})
    with session(model) as run:
        for index in range(SEEDS):
            feeds = make_feeds(model, 0, index, sizes, {})
            yield from _not_finite(f"random inputs (seed 0, set {index})", run.run(feeds))
        for kind, fill in EXTREMES.items():
            filled = {name: np.full_like(x, fill) if x.dtype.kind == "f" else x for name, x in feeds.items()}
            yield from _not_finite(kind, run.run(filled))


def session_failure(subject: Subject) -> GraphcError | None:
    """What keeps ONNX Runtime from running the model on random inputs within their range; None where it runs."""
    return subject.once(_session_failure)


def _session_failure(subject: Subject) -> GraphcError | None:
    model = subject.weighted
    feeds = make_feeds(model, 0, 0, bindings(model, {}), {})
    try:
        with session(model) as run:
            run.run(feeds)
    except GraphcError as error:
        if error.code != "run/session-failed":
            raise
        return error
    return None


def _not_finite(kind: str, outputs: dict[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    for name, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            yield kind, name


def certificate_of(subject: Subject) -> Certificate | None:
    """The certificate of a model file, from beside it or from its metadata; None where it has none.

    Raises GraphcError for one that cannot be read.
    """
    from graphc.certificate import beside, find_certificate  # it can run models, to check one

    path = subject.path
    if not subject.is_model or path is None:
        return None
    model: ir.Model = subject.model
    if CERTIFICATE not in model.metadata_props and not beside(path).is_file():
        return None
    return find_certificate(path, model, subject.limits)
