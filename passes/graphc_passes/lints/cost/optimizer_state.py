"""An optimizer whose state takes more than a third of the memory that a training step may have.

The bound is the budget `training-memory`, or else the memory of the `device`; without either nothing is said. The state
is one tensor for each that trains with momentum, two with Adam; weights and gradients are two more, so that less than
a third is left for activations.

Why    what holds the moments holds no activations: the batch is smaller, or more of the forward pass is computed twice,
       for two tensors per weight that a narrower type, momentum or a factored second moment would not need
       (Shazeer and Stern 2018; Dettmers et al. 2022).
"""

from __future__ import annotations

from collections.abc import Iterator

import graphc
from graphc import Problem, Subject, lint

SHARE = 1 / 3


@lint(
    on="spec",
    category="cost",
    severity="warning",
    help="use an optimizer with less state, freeze what need not train, or raise the budget",
)
def optimizer_state(subject: Subject) -> Iterator[Problem]:
    network = subject.expanded
    if network.training is None or network.training.optimizer is None:
        return
    limit = _memory(subject)
    if limit is None:
        return
    report = graphc.training_cost(subject, graphc.preferred_of(subject))
    share = report.memory.optimizer / limit if limit else 0
    if share > SHARE:
        yield Problem(
            f"the state of {report.optimizer} takes {report.memory.optimizer:,} B, {share:.0%} of the {limit:,} B that"
            " training may take",
            at=network.place("train", "optimizer"),
            measured=report.memory.optimizer,
            limit=limit,
        )


def _memory(subject: Subject) -> int | None:
    budget: int | None = subject.settings.budgets.training_memory
    return budget if budget is not None else graphc.device_of(subject).memory_bytes


@optimizer_state.bad
def adam_within_a_tight_budget() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 1024]"}
        outputs: [y]
        nodes: [{id: y, dense: 1024}]
        train:
          inputs: {target: "f32[1, 1024]"}
          losses: [{op: mse, from: [y, target]}]
          optimizer: {adam: {}}
        lint: {budgets: {training-memory: 20MB}}
    """


@optimizer_state.good
def momentum_within_it() -> str:
    return """
        graphc: 1
        inputs: {x: "f32[1, 1024]"}
        outputs: [y]
        nodes: [{id: y, dense: 1024}]
        train:
          inputs: {target: "f32[1, 1024]"}
          losses: [{op: mse, from: [y, target]}]
          optimizer: {sgd: {momentum: 0.9}}
        lint: {budgets: {training-memory: 20MB}}
    """
