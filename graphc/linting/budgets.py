"""How a subject stands to its budgets: each is kept, broken, or not provable, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import onnx_ir as ir

from graphc import walk
from graphc.analysis import budgets
from graphc.analysis.cost_report import CostReport
from graphc.analysis.latency import Latency, latencies
from graphc.errors import GraphcError, Where
from graphc.linting.subject import Subject
from graphc.metadata import declared_dims
from graphc.runtime.session import Provider
from graphc.spec.lint_language import Budgets
from graphc.view import Refusal

UNITS = {"params": "", "nodes": "", "file_size": "B", "latency": "s"} | {
    name: costed.unit for name, costed in budgets.COSTED.items()
}
LARGEST = 1 << 32  # of one dim: products of several with what layers scale by fit in 64 bits
NOT_RUN = "nothing is run unless it is asked for"


@dataclass(frozen=True)
class Verdict:
    """One budget: the largest figure found, at which sizes, in a unit, and the limit that it is held to.

    `unproven` says why the figure may be larger than `value`, "" where it cannot. `is_open`: only because a dim has no
    largest size. `is_noise`: it was measured, and is too near to the limit for a measurement to tell. `where` is the
    place of the budget, where it has one.
    """

    name: str
    limit: int | float
    value: int | float
    unit: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    unproven: str = ""
    is_open: bool = False
    is_noise: bool = False
    where: Where | None = None

    @property
    def is_broken(self) -> bool:
        """Whether the budget is exceeded for sure."""
        return self.value > self.limit and not self.is_noise

    def shown(self, number: int | float) -> str:
        """A figure with its unit."""
        if self.name == "latency":
            return f"{number:.3g} s" if number >= 1 else f"{number * 1e3:.3g} ms"
        return f"{number:,} {self.unit}".rstrip()


def verdicts(subject: Subject) -> tuple[Verdict, ...]:
    """How a subject stands to each budget that is set, in the order of the language. Raises GraphcError."""
    return subject.once(_verdicts)


def _verdicts(subject: Subject) -> tuple[Verdict, ...]:
    return tuple(_judged(subject))


def _judged(subject: Subject) -> Iterator[Verdict]:
    given = subject.settings.budgets
    sized = Sized(subject)
    for name, declared in Budgets.model_fields.items():
        limit = getattr(given, name)
        if limit is None:
            continue
        shown = declared.alias or name
        try:
            found = _verdict(sized, name, limit)
        except (Refusal, GraphcError) as error:
            why = error.message if isinstance(error, GraphcError) else str(error)
            found = Verdict(name, limit, 0, UNITS[name], unproven=why)
        yield replace(found, name=shown, where=_place(subject, name, shown))


def _place(subject: Subject, name: str, shown: str) -> Where | None:
    """The line of the spec that sets the budget; the file as a whole for one that is set elsewhere."""
    origin = subject.resolved.origins.get(f"budgets.{name}")
    if subject.network is not None and origin == subject.source:
        return subject.network.place("lint", "budgets", shown)
    return Where(str(subject.path), text=f"budget {shown}") if subject.path is not None else None


def _verdict(sized: Sized, name: str, limit: int | float) -> Verdict:
    subject = sized.subject
    if name == "params":
        count, unproven = budgets.parameters(subject.model)
        return Verdict(name, limit, count, "", unproven=unproven)
    if name == "nodes":
        return Verdict(name, limit, sum(1 for _ in walk.nodes(subject.model)), "")
    if name == "file_size":
        return Verdict(name, limit, _file_bytes(subject), "B")
    return _measured(sized, limit) if name == "latency" else _costed(sized, name, limit)


def _file_bytes(subject: Subject) -> int:
    """What the file takes, with those of its external data; for a spec, what a file of it would."""
    if subject.path is None or not subject.is_model:
        return budgets.file_bytes(subject.model)
    tensors = (value.const_value for value in walk.initializers(subject.model))
    files = {tensor.path for tensor in tensors if isinstance(tensor, ir.ExternalTensor)}
    try:
        return sum(file.stat().st_size for file in (subject.path, *map(type(subject.path), files)))
    except OSError as error:
        raise GraphcError(f"{error.filename}: {error.strerror}", code="run/not-analysed") from None


# ---------------------------------------------------------------- at every size


def preferred_of(subject: Subject) -> dict[str, int]:
    """The preferred sizes of the dims that have any, those of the settings before the subject's own."""
    return budgets.points(Sized(subject).ranges)[0]


def sizes_of(subject: Subject) -> list[dict[str, int]]:
    """The sizes at which a subject is looked at: its dims as preferred, all least, all largest. Raises GraphcError
    (run/not-analysed) for a dim without any size."""
    sized = Sized(subject)
    sized.require_sizes()
    return budgets.points(sized.ranges)


class Sized:
    """A subject at the sizes that its dims may have: those of the settings before its own."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject

    @cached_property
    def ranges(self) -> dict[str, budgets.Range]:
        """The range of each dim that has one. Raises GraphcError (run/not-analysed) for a size that no tensor has."""
        model = self.subject.model
        found: dict[str, budgets.Range] = {name: _whole(sizes) for name, sizes in declared_dims(model).items()}
        for name, dim in self.subject.settings.dims.items():
            if name in budgets.symbolic_dims(model):
                sizes = {"min": dim.least, "opt": dim.best, "multiple_of": dim.multiple_of}
                found[name] = sizes if dim.max is None else {**sizes, "max": dim.max}
        for name, stated in found.items():
            if max(stated.values(), default=1) > LARGEST:
                raise GraphcError(f"dim {name} has a size beyond {LARGEST:,}", code="run/not-analysed")
        return found

    def require_sizes(self) -> None:
        """Raises GraphcError (run/not-analysed) for a dim without any size."""
        without = [name for name in budgets.symbolic_dims(self.subject.model) if name not in self.ranges]
        if without:
            raise GraphcError(f"dim {', '.join(without)} has no size", code="run/not-analysed")

    def report(self, training: bool, sizes: Mapping[str, int]) -> CostReport:
        """The cost at these sizes; of a training step that has as many examples as the spec says."""
        return training_cost(self.subject, sizes) if training else self.subject.cost(dims=sizes)


def training_cost(subject: Subject, sizes: Mapping[str, int] | None = None) -> CostReport:
    """What a training step costs, with as many examples as the spec trains with, if it says so. Raises GraphcError."""
    network = subject.network
    train = network.spec.train if network is not None else None
    return subject.cost(training=True, dims=sizes, batch=None if train is None else train.batch)


def _whole(sizes: budgets.Range) -> budgets.Range:
    """A range as metadata states it, where a fixed size is an `opt` alone."""
    return {"min": sizes["opt"], "max": sizes["opt"], **sizes} if sizes.keys() == {"opt"} else sizes


def _costed(sized: Sized, name: str, limit: int | float) -> Verdict:
    """At every size; a training step at the preferred ones: the range is what the model serves."""
    sized.require_sizes()
    what, found = budgets.COSTED[name], []
    points = budgets.points(sized.ranges)
    for sizes in points[:1] if what.training else points:
        report = sized.report(what.training, sizes)
        found.append(Verdict(name, limit, what.of(report), what.unit, sizes, what.unknown(report)))
    worst = max(found, key=lambda each: each.value)
    if worst.is_broken:
        return worst
    unproven = next((each.unproven for each in found if each.unproven), "")
    if unproven or what.training:
        return replace(worst, unproven=unproven)
    return _unbounded(sized, what, worst)


def _unbounded(sized: Sized, what: budgets.Costed, worst: Verdict) -> Verdict:
    """The same, unproven where it grows with a dim that has no largest size."""
    far = budgets.beyond(sized.ranges)
    if not far:
        return worst
    opt = budgets.points(sized.ranges)[0]
    if what.of(sized.report(False, far)) == what.of(sized.report(False, opt)):
        return worst
    return replace(worst, unproven=_open(sized.ranges), is_open=True)


def _open(ranges: Mapping[str, budgets.Range]) -> str:
    """That some dims have no largest size; "" where all have one."""
    names = ", ".join(name for name, sizes in ranges.items() if "max" not in sizes)
    return f"dim {names} has no largest size" if names else ""


def _measured(sized: Sized, limit: float) -> Verdict:
    """The latency, broken or kept only where the whole interval of the median is on one side of the limit."""
    subject = sized.subject
    if not subject.settings.run:
        return Verdict("latency", limit, 0, "s", unproven=NOT_RUN)
    sized.require_sizes()
    points = budgets.points(sized.ranges)
    provider: Provider = "cuda" if subject.settings.target == "ort-cuda" else "cpu"
    threads = subject.network.target.threads if subject.network is not None else None
    model = subject.weighted
    found = latencies([(model, sizes) for sizes in points], provider=provider, threads=threads)
    sizes, worst = max(zip(points, found, strict=True), key=lambda each: each[1].low)
    if worst.low > limit:
        return Verdict("latency", limit, worst.median, "s", sizes)
    sizes, worst = max(zip(points, found, strict=True), key=lambda each: each[1].high)
    if worst.high > limit:
        return Verdict("latency", limit, worst.median, "s", sizes, _noise(worst), is_noise=True)
    unproven = _open(sized.ranges)
    return Verdict("latency", limit, worst.median, "s", sizes, unproven, is_open=bool(unproven))


def _noise(found: Latency) -> str:
    return (
        f"the median of {found.runs} runs lies between {found.low * 1e3:.3g} and {found.high * 1e3:.3g} ms, "
        f"with {found.confidence:.0%} confidence"
    )
