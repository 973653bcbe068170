"""A dimension without a largest size, in a spec that has to keep within a budget which grows with it.

Why    a bound on MACs, memory or time holds at the sizes that were tried; at all sizes that the model accepts it holds
       only where every dimension has a `max`. Parameters, nodes and bytes of the file do not grow with a dimension.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphc import Problem, Subject, lint

FIXED = ("params", "nodes", "file_size")  # budgets of what is the same at every size


@lint(
    on="spec", category="spec", severity="warning", help="give the dimension a 'max', the largest size that is served"
)
def unbounded_dim(subject: Subject) -> Iterator[Problem]:
    assert subject.network is not None  # what makes it a look at a spec
    budgets = subject.settings.budgets
    held = [name.replace("_", "-") for name, bound in budgets if bound is not None and name not in FIXED]
    for name, dim in subject.network.spec.dims.items():
        if held and dim.max is None:
            where = subject.network.place("dims", name)
            yield Problem(f"'{name}' has no max, so nothing bounds {', '.join(held)}", at=where)


@unbounded_dim.bad
def memory_at_any_height() -> str:
    return """
        graphc: 1
        dims: {H: {min: 8, opt: 64}}
        inputs: {x: "f32[1, 64, H, 64]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        lint: {budgets: {activation-memory: 64MiB}}
    """


@unbounded_dim.bad(budgets={"activation-memory": "64MiB"})
def memory_that_the_project_bounds() -> str:
    return """
        graphc: 1
        dims: {H: {min: 8, opt: 64}}
        inputs: {x: "f32[1, 64, H, 64]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
    """


@unbounded_dim.good
def bounded() -> str:
    return """
        graphc: 1
        dims: {H: {min: 8, opt: 64, max: 128}}
        inputs: {x: "f32[1, 64, H, 64]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        lint: {budgets: {activation-memory: 64MiB}}
    """


@unbounded_dim.good
def parameters_do_not_grow() -> str:
    return """
        graphc: 1
        dims: {H: {min: 8, opt: 64}}
        inputs: {x: "f32[1, 64, H, 64]"}
        outputs: [y]
        nodes:
          - {id: y, op: relu}
        lint: {budgets: {params: 80k}}
    """
