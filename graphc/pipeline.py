"""Pipelines: an ordered list of passes, from text or Python, and the record of what they did.

    Pipeline("inference")
    Pipeline("drop-dropout,fold-batchnorm-into-conv{when=always}")
    Pipeline([my_rewrite, onnx_ir.passes.common.CommonSubexpressionEliminationPass(), "drop-identity"])

A pipeline is an onnx_ir pass and takes any onnx_ir pass. Wherever a text is taken, a named pipeline may stand; the
passes that come with onnx_ir go by their class names in kebab-case (`common-subexpression-elimination`).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import onnx_ir as ir
from onnx_ir.passes import common

from graphc import registry
from graphc.analysis.summary import Summary, summarise
from graphc.errors import GraphcError, suggest
from graphc.inference import infer_missing
from graphc.price import Judge
from graphc.rewriting import NUMERICS, Rewrite, RewritePass, Site
from graphc.target import Target


@dataclass(frozen=True)
class Step:
    """What one pass did.

    `is_rewrite` tells graphc's rewrites, which have sites, from other passes; `improves` is what a rewrite claims.
    `numerics` is that of the change: "exact" if there was none, "reassociates" for a pass that is no rewrite, else the
    rewrite's; `bound` is the sum over the sites of an approximating one, relative. `report` is what an analysis found
    (`training-cost`: a CostReport).
    """

    name: str
    is_rewrite: bool
    modified: bool
    fired: tuple[Site, ...]
    refused: tuple[Site, ...]
    before: Summary
    after: Summary
    seconds: float
    numerics: str
    bound: float = 0.0
    improves: tuple[str, ...] = ()
    report: object = None


@dataclass(frozen=True)
class Record:
    """What a pipeline did, step by step, and the model `before` the first and `after` the last."""

    steps: tuple[Step, ...]
    before: Summary
    after: Summary

    @property
    def numerics(self) -> str:
        """The loosest numerics among the changes: exact, reassociates or approximates."""
        return max((step.numerics for step in self.steps), key=NUMERICS.index, default="exact")

    @property
    def fired(self) -> dict[str, int]:
        """How often each rewrite fired, in the order of the pipeline."""
        counts: dict[str, int] = {}
        for step in self.steps:
            counts[step.name] = counts.get(step.name, 0) + len(step.fired)
        return counts


class PipelineResult(ir.passes.PassResult):
    """A PassResult with the record of the run."""

    def __init__(self, model: ir.Model, modified: bool, record: Record) -> None:
        super().__init__(model, modified)
        self.record = record


class Pipeline(ir.passes.InPlacePass):
    """An ordered list of passes, itself a pass; `Pipeline(...)(model)` returns a PipelineResult.

    `before_step(name, model)` and `after_step(name, model)` are called around each pass (progress bars, dumps). With a
    `target` every rewrite fires where that judges it a step towards what it runs.
    Raises GraphcError for an unknown pass (spec/unknown-pass) or option (spec/unknown-pass-option).
    """

    def __init__(
        self,
        passes: str | Sequence[Any] = "inference",
        *,
        target: Target | None = None,
        before_step: Callable[[str, ir.Model], None] | None = None,
        after_step: Callable[[str, ir.Model], None] | None = None,
    ) -> None:
        items = [passes] if isinstance(passes, str) else list(passes)
        judge = target.cheaper if target is not None else None
        self.passes: list[ir.passes.PassBase] = [made for item in items for made in _make(item, judge)]
        self.before_step, self.after_step = before_step, after_step

    def __repr__(self) -> str:
        return ",".join(_name(each) for each in self.passes)

    def __call__(self, model_or_result: ir.Model | ir.passes.PassResult, /) -> PipelineResult:
        result = super().__call__(model_or_result)
        assert isinstance(result, PipelineResult)
        return result

    def call(self, model: ir.Model) -> PipelineResult:
        """Run every pass once, in order, over a model whose types and shapes are stated as far as ONNX can tell."""
        steps: list[Step] = []
        infer_missing(model)
        first = before = summarise(model)
        for each in self.passes:
            name = _name(each)
            if self.before_step:
                self.before_step(name, model)
            started = time.perf_counter()
            result = _run(each, name, model)
            seconds = time.perf_counter() - started
            after = summarise(model) if result.modified else before
            steps.append(_step(each, name, result, before, after, seconds))
            before = after
            if self.after_step:
                self.after_step(name, model)
        record = Record(tuple(steps), first, before)
        return PipelineResult(model, any(step.modified for step in steps), record)


def find_pass(name: str, options: Mapping[str, Any] | None = None, judge: Judge | None = None) -> ir.passes.PassBase:
    """The pass of that name with its options; `judge` is a target's. Raises GraphcError when there is none."""
    given = dict(options or {})
    if name in registry.entries(registry.PASSES):
        found = registry.find(registry.PASSES, name).attribute()
        if isinstance(found, Rewrite):
            return found(judge, **given)
        if isinstance(found, type) and issubclass(found, ir.passes.PassBase):
            return _construct(found, name, given)
        raise GraphcError(
            f"'{name}' is not a pass but a {type(found).__name__}",
            code="run/plugin-failed",
            hint="a module of the group graphc.passes defines a rewrite or a PassBase subclass of its own name",
        )
    if name in onnx_ir_passes():
        return _construct(onnx_ir_passes()[name], name, given)
    raise GraphcError(f"unknown pass '{name}'", code="spec/unknown-pass", hint=suggest(name, pass_names()))


def rewrites() -> dict[str, Rewrite]:
    """Every rewrite by name, from graphc and its plugins; one that cannot be loaded is a warning."""
    return registry.objects(registry.PASSES, _rewrite_of)


def _rewrite_of(entry: registry.Entry) -> dict[str, Rewrite]:
    found = entry.attribute()
    return {entry.name: found} if isinstance(found, Rewrite) else {}


def find_rewrite(name: str) -> Rewrite:
    """The rewrite of that name. Raises GraphcError when there is none."""
    found = registry.find(registry.PASSES, name).attribute()
    if not isinstance(found, Rewrite):
        raise GraphcError(f"'{name}' is a pass but not a rewrite", code="spec/unknown-pass")
    return found


def pass_names() -> list[str]:
    """Everything that may stand in a pipeline's text: rewrites, onnx_ir's passes, named pipelines."""
    return sorted({*registry.entries(registry.PASSES), *onnx_ir_passes(), *named_pipelines()})


@cache
def onnx_ir_passes() -> dict[str, type[ir.passes.PassBase]]:
    """onnx_ir's common passes by class name in kebab-case, without the suffix `Pass`."""
    classes = [cls for name, cls in vars(common).items() if name.endswith("Pass") and isinstance(cls, type)]
    return {_class_name(cls): cls for cls in classes}


def _class_name(cls: type) -> str:
    """`NameFixPass` -> `name-fix`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__.removesuffix("Pass")).lower()


@cache
def named_pipelines() -> dict[str, str]:
    """Named pipelines, name -> text, from the entry points of the group graphc.pipelines."""
    return registry.objects(registry.PIPELINES, _pipelines)


def _pipelines(entry: registry.Entry) -> Mapping[str, str]:
    """The pipelines that an entry offers. Raises GraphcError unless they are name -> text that can be parsed."""
    found = entry.attribute()
    if not isinstance(found, Mapping) or not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise GraphcError(
            f"{entry.variable} of {entry.module} is no mapping of names to pipelines",
            code="run/plugin-failed",
            hint='it looks like {"fast": "drop-identity,fold-batchnorm-into-conv"}',
        )
    for text in found.values():
        list(parse(text))
    return found


def parse(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """`"a,b{x=1}"` -> ("a", {}), ("b", {"x": 1}). Raises GraphcError (spec/unknown-pass) on anything else."""
    position = 0
    while position < len(text):
        found = _ITEM.match(text, position)
        if found is None:
            raise GraphcError(
                f"'{text[position:]}' is not a list of passes",
                code="spec/unknown-pass",
                hint="write a,b{option=1,other=text}",
            )
        name, options = found.groups()
        yield name, dict(_option(pair) for pair in (options or "").split(",") if pair.strip())
        position = found.end()


_ITEM = re.compile(r"\s*([A-Za-z][\w.-]*)\s*(?:\{([^{}]*)\})?\s*(?:,(?=\s*\S)|$)")


def _option(pair: str) -> tuple[str, Any]:
    name, equals, text = (part.strip() for part in pair.partition("="))
    if not equals or not name:
        raise GraphcError(f"'{pair}' is not an option", code="spec/unknown-pass-option", hint="write name=value")
    return name, _value(text)


def _value(text: str) -> Any:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _make(item: Any, judge: Judge | None, depth: int = 0) -> Iterator[ir.passes.PassBase]:
    if isinstance(item, Rewrite):
        yield item(judge)
    elif isinstance(item, ir.passes.PassBase):
        yield item
    elif isinstance(item, Mapping):
        for name, options in item.items():
            yield find_pass(name, options, judge)
    elif isinstance(item, str):
        for name, options in parse(item):
            yield from _named(name, options, judge, depth)
    else:
        raise GraphcError(
            f"{item!r} is not a pass",
            code="spec/unknown-pass",
            hint="give a name, a {name: options} mapping, a rewrite, or an onnx_ir pass",
        )


def _named(name: str, options: dict[str, Any], judge: Judge | None, depth: int) -> Iterator[ir.passes.PassBase]:
    if name not in named_pipelines():
        yield find_pass(name, options, judge)
        return
    if depth > 8:
        raise GraphcError(f"pipeline '{name}' contains itself", code="spec/unknown-pass")
    if options:
        raise GraphcError(f"pipeline '{name}' takes no options", code="spec/unknown-pass-option")
    yield from _make(named_pipelines()[name], judge, depth + 1)


def _construct(cls: type[ir.passes.PassBase], name: str, options: dict[str, Any]) -> ir.passes.PassBase:
    try:
        return cls(**{key.replace("-", "_"): value for key, value in options.items()})
    except TypeError as error:
        raise GraphcError(f"'{name}': {error}", code="spec/unknown-pass-option") from error


def _name(each: ir.passes.PassBase) -> str:
    if isinstance(each, RewritePass):
        return each.rewrite.name
    return _class_name(type(each))


def _run(each: ir.passes.PassBase, name: str, model: ir.Model) -> ir.passes.PassResult:
    """Run one pass. Raises GraphcError (run/pass-failed) when it does not go well."""
    try:
        result = each(model)
    except GraphcError:
        raise
    except Exception as error:  # a pass may be anyone's code
        if isinstance(each, RewritePass):
            raise
        raise GraphcError(
            f"pass '{name}' failed: {error.__cause__ or error}", code="run/pass-failed", hint="leave it out, or mend it"
        ) from error
    if result.model is not model:
        raise GraphcError(
            f"pass '{name}' returned another model; a pipeline works in place",
            code="run/pass-failed",
            hint="run it outside the pipeline, or make it an InPlacePass",
        )
    return result


def _step(
    each: ir.passes.PassBase,
    name: str,
    result: ir.passes.PassResult,
    before: Summary,
    after: Summary,
    seconds: float,
) -> Step:
    modified = result.modified
    if not isinstance(each, RewritePass):
        numerics, report = "reassociates" if modified else "exact", getattr(result, "report", None)
        return Step(name, False, modified, (), (), before, after, seconds, numerics, report=report)
    return Step(
        name,
        True,
        modified,
        tuple(each.fired),
        tuple(each.refused),
        before,
        after,
        seconds,
        each.rewrite.numerics if modified else "exact",
        each.rewrite.bound * len(each.fired),
        each.rewrite.improves,
    )
