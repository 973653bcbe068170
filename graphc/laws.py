"""The laws that every rewrite is held to, as functions over its cases: graphc's own tests and any plugin's.

    for rewrite in rewrites:
        for law, case, violation in laws.violations(rewrite): ...

Each function raises AssertionError with what went wrong. The oracle shares no code with a rewrite: float64 by
`onnx.reference`, with convolutions by the executable nest (`onnx.reference` crashes on some transposed ones), and
ONNX Runtime with its optimiser off. Where ONNX Runtime refuses a model or gets it wrong (`Case.oracle`), the reference
alone says what it computes. Bounds follow from the declared numerics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import onnx
import onnx_ir as ir

from graphc.analysis.summary import summarise
from graphc.cases import Case, as_type, neighbours
from graphc.errors import GraphcError
from graphc.inference import InferenceError, infer_node
from graphc.rewriting import FAILURE, Rewrite, RewritePass, waive
from graphc.runtime.equivalence import Evaluator
from graphc.runtime.equivalence import check as check_equal
from graphc.runtime.reference import Arrays, evaluate, widened
from graphc.runtime.session import session
from graphc.runtime.tolerance import EXACT, Tolerance, rounding
from graphc.view import Refusal

Oracle = Literal["runtime", "reference"]
FLOAT64_RELATIVE = 1e-9  # against a rounding of 1e-16: room for any cancellation, none for a wrong term

FEEDS = 1  # keeps the random inputs apart from the random weights of the same seed
SEEDS = 4  # inputs to try before a condition is called needless: a bool input has two values


# ---------------------------------------------------------------- the laws


def fires(rewrite: Rewrite, case: Case) -> None:
    """Law 1: a firing case fires, and a second run changes nothing."""
    model, run = _applied(rewrite, case.model(), case.options)
    assert run.fired, f"did not fire: {[site.reason for site in run.refused]}"
    before = ir.to_proto(model)
    assert not run(model).modified, "a second run changes something"
    assert ir.to_proto(model) == before, "a second run says that it changes nothing, but does"


def keeps_the_interface(rewrite: Rewrite, case: Case) -> None:
    """Law 2: the full checker passes, and the inputs and outputs are as before."""
    before = case.model()
    after, _ = _applied(rewrite, case.model(), case.options)
    check_valid(after)
    for kind in ("inputs", "outputs"):
        old, new = getattr(before.graph, kind), getattr(after.graph, kind)
        assert [(v.name, v.type) for v in old] == [(v.name, v.type) for v in new], f"the {kind} changed"
        for a, b in zip(old, new, strict=True):
            assert a.shape == b.shape or a.shape is None, f"{a.name}: {a.shape} became {b.shape}"


def keeps_the_function(rewrite: Rewrite, case: Case) -> None:
    """Law 3: the same function, by the oracle, in float64 and on ONNX Runtime in the model's own type."""
    assert_law_holds(case.model(), rewrite, case.options, oracle=case.oracle)


def samples_stay_right(rewrite: Rewrite, case: Case) -> bool:
    """Law 3 for a random case, which may not be valid or refuse. Returns whether the rewrite fired on it."""
    try:
        model = case.model()
    except Refusal:  # an operator does not accept what was drawn for it
        return False
    return _stays_right(rewrite, model, {"when": "always", **case.options}, case.seed, case.oracle)


def neighbours_stay_right(rewrite: Rewrite, case: Case) -> int:
    """Law 4: every valid neighbour is refused or stays equal. Returns how many valid neighbours fired."""
    fired = 0
    for neighbour in neighbours(case):
        try:
            fired += _stays_right(rewrite, neighbour.model, {**case.options, "when": "always"}, 0, case.oracle)
        except (AssertionError, GraphcError) as error:
            raise AssertionError(f"neighbour '{neighbour.label}': {error}") from error
    return fired


def _stays_right(rewrite: Rewrite, model: ir.Model, options: Mapping[str, Any], seed: int, oracle: Oracle) -> bool:
    """Law 3 for a model that need not be valid. Whether it runs is only asked where the rewrite fires, if it does."""
    try:
        check_valid(model)
    except AssertionError:
        return False
    run = _applied(rewrite, model.clone(), options)[1]
    failures = [site.reason for site in run.refused if site.reason.startswith(FAILURE)]
    if not (run.fired or failures) or not _runs(model, oracle):
        return False
    assert not failures, f"it fails on a model that runs: {failures}"
    return assert_law_holds(model, rewrite, options, seed, oracle)


def refuses(rewrite: Rewrite, case: Case) -> None:
    """Law 5: a refusing case leaves the model identical, with exactly its reason."""
    model = case.model()
    before = ir.to_proto(model)
    model, run = _applied(rewrite, model, case.options)
    reasons = [site.reason for site in run.refused]
    assert case.refuses in reasons, f"refused for other reasons: {reasons}; fired: {run.fired}"
    assert ir.to_proto(model) == before, "the model changed"


def conditions_have_cases(rewrite: Rewrite) -> None:
    """Law 6: every `require` has a case that it refuses."""
    shown = {case.refuses for case in rewrite.all_cases()}
    missing = [c.reason for c in rewrite.conditions if c.reason not in shown]
    assert not missing, f"no refusing case for {missing}"


def has_cases(rewrite: Rewrite) -> None:
    """Some case fires: without one the laws say nothing. Every case has a name of its own."""
    cases = rewrite.all_cases()
    assert any(case.refuses is None for case in cases), "no case fires"
    assert len({case.name for case in cases}) == len(cases), "two cases have one name"


def states_its_law(rewrite: Rewrite) -> None:
    """The module's docstring says what the rewrite does, by which law, and why."""
    for part in ("Law", "Why"):
        assert any(line.startswith(part) for line in rewrite.doc.splitlines()), f"the docstring has no '{part}'"


def conditions_are_needed(rewrite: Rewrite, case: Case) -> None:
    """Law 7: without its condition a refusing case goes wrong, unless the condition says why it is conservative."""
    conditions = {condition.reason: condition for condition in rewrite.conditions}
    condition = conditions.get(case.refuses or "")
    if condition is None or condition.conservative:
        return
    with waive(condition.reason):
        fault = goes_wrong(rewrite, case)
    assert fault, f"the case is right without '{condition.reason}'"


def goes_wrong(rewrite: Rewrite, case: Case) -> str:
    """How the case's function changes when the rewrite fires on it; empty when it does not, or not at all."""
    options = {**case.options, "when": "always"}
    refused = _applied(rewrite, case.model(), options)[1].refused
    failures = [site.reason for site in refused if site.reason.startswith(FAILURE)]
    if failures:
        return failures[0]
    for seed in range(SEEDS):
        try:
            assert_law_holds(case.model(), rewrite, options, seed, case.oracle)
        except (AssertionError, GraphcError) as error:
            return str(error)
    return ""


def improves(rewrite: Rewrite, case: Case) -> None:
    """Law 8: what it claims to lower gets lower in every firing case whose cost is known, and nodes always."""
    before = summarise(case.model())
    after = summarise(_applied(rewrite, case.model(), case.options)[0])
    for claim in rewrite.improves:
        old, new = before.measure(claim), after.measure(claim)
        if old is not None and new is not None:
            assert new < old, f"{claim} went from {old} to {new}"


def violations(rewrite: Rewrite) -> Iterator[tuple[str, str, str]]:
    """(law, case, what went wrong) for every law of this module that does not hold."""
    firing: list[Callable[[Rewrite, Case], object]] = [
        fires,
        keeps_the_interface,
        keeps_the_function,
        improves,
    ]
    for case in rewrite.all_cases():
        laws = [refuses, conditions_are_needed] if case.refuses else firing
        for law in [*laws, neighbours_stay_right]:
            yield from _violation(law, case.name, rewrite, case)
    for law_of_all in (conditions_have_cases, has_cases, states_its_law):
        yield from _violation(law_of_all, "", rewrite)


def _violation(law: Callable[..., object], case: str, *arguments: object) -> Iterator[tuple[str, str, str]]:
    try:
        law(*arguments)
    except AssertionError as error:
        yield law.__name__, case, str(error)


# ---------------------------------------------------------------- the oracle


def check_valid(model: ir.Model) -> None:
    """AssertionError unless the full ONNX checker accepts the model."""
    try:
        for node in model.graph:
            infer_node(node, model.opset_imports[""])  # what would abort ONNX's own inference does not get there
        onnx.checker.check_model(ir.to_proto(model), full_check=True)
    except (InferenceError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError, ValueError) as error:
        raise AssertionError(f"the checker refuses the model: {error}") from error


def assert_law_holds(
    before: ir.Model, rewrite: Rewrite, options: Mapping[str, Any], seed: int = 0, oracle: Oracle = "runtime"
) -> bool:
    """AssertionError unless rewriting `before` keeps its function within what `rewrite.numerics` allows.

    On ONNX Runtime in the model's own type, and by the reference after rewriting the float64 form of the model, where
    nothing is left but the law itself. With the oracle "reference" what ONNX Runtime computes of the rewritten model is
    compared with what the reference computes of `before`. Returns whether the rewrite fired.
    """
    after, run = _applied(rewrite, before.clone(), options)
    if not run.fired:
        return False
    check_valid(after)
    inputs, exact = feeds(before, seed), rewrite.numerics == "exact"
    rounded = replace(rounding(before, after), relative=rewrite.bound)
    if _is_double(before) and not _runs(after, "runtime"):
        pass  # ONNX Runtime has few operators in double, no Conv among them: the reference below says it
    else:
        tolerance = EXACT if exact else rounded
        where: Evaluator = "reference" if oracle == "reference" else "cpu"
        report = check_equal(before, after, inputs=inputs, tolerance=tolerance, provider_of_a=where, threads=1)
        assert report.passed, f"{report.worst} on ONNX Runtime"
    wide = as_type(before, ir.DataType.DOUBLE)
    wide_after, run = _applied(rewrite, wide.clone(), options)
    if run.fired:
        tolerance = EXACT if exact else Tolerance(relative=rewrite.bound + FLOAT64_RELATIVE)
        wide_inputs = widened(inputs)
        _compare(_reference(wide, wide_inputs), _reference(wide_after, wide_inputs), tolerance, "in float64")
    return True


def feeds(model: ir.Model, seed: int = 0) -> Arrays:
    """Seeded inputs of a case's model: floats standard normal, symbolic sizes 5, 6, 7, ... and a batch of 2."""
    random = np.random.default_rng((FEEDS, seed))  # another stream than that of a case's weights
    sizes: dict[str, int] = {"N": 2}
    made = {}
    for value in model.graph.inputs:
        if value.is_initializer():
            continue
        shape = [
            int(d) if isinstance(d, int) else sizes.setdefault(d.value or "?", 4 + len(sizes))
            for d in value.shape or ()
        ]
        dtype = value.dtype.numpy() if value.dtype else np.dtype(np.float32)
        if dtype.kind == "b":
            made[value.name or ""] = np.asarray(random.random(shape) < 0.5)
        elif dtype.kind in "iu":
            made[value.name or ""] = random.integers(0, 3, shape).astype(dtype)
        else:
            made[value.name or ""] = random.standard_normal(shape).astype(dtype)
    return made


def _compare(a: Arrays, b: Arrays, tolerance: Tolerance, where: str) -> None:
    for name, expected in a.items():
        found = b[name]
        assert found.shape == expected.shape, f"{name}: {expected.shape} became {found.shape} {where}"
        assert found.dtype == expected.dtype, f"{name}: {expected.dtype} became {found.dtype} {where}"
        if tolerance == EXACT or expected.dtype.kind not in "f":
            assert np.array_equal(expected, found, equal_nan=expected.dtype.kind == "f"), f"{name} differs {where}"
            continue
        odd = ~np.isfinite(expected)
        assert np.array_equal(expected[odd], found[odd], equal_nan=True), f"{name}: other infinities {where}"
        difference = np.abs(expected[~odd] - found[~odd]).max(initial=0.0)
        scale = float(np.abs(expected[~odd]).max(initial=0.0))
        rms = float(np.sqrt(np.square(expected[~odd], dtype=np.float64).mean())) if expected[~odd].size else 0.0
        assert difference <= tolerance.allowed(scale, rms=rms), (
            f"{name} is off by {difference:.3g} of {scale:.3g} {where}"
        )


def _is_double(model: ir.Model) -> bool:
    return any(value.dtype == ir.DataType.DOUBLE for value in model.graph.inputs)


def _runs(model: ir.Model, oracle: Oracle) -> bool:
    """Whether ONNX Runtime, or the reference, has every operator of the model in its types, and takes its inputs."""
    inputs = feeds(model)
    try:
        if oracle == "reference":
            evaluate(model, inputs)
        else:
            with session(model, threads=1) as opened:
                opened.run(inputs)
    except GraphcError:
        return False
    return True


def _reference(model: ir.Model, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """What the reference says. Raises AssertionError where it does not run the model."""
    try:
        return evaluate(model, inputs)
    except GraphcError as error:
        raise AssertionError(error.message) from error


# ---------------------------------------------------------------- helpers


def _applied(rewrite: Rewrite, model: ir.Model, options: Mapping[str, Any]) -> tuple[ir.Model, RewritePass]:
    run = rewrite(**options)
    return run(model).model, run
