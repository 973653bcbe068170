"""The pass `training-cost`: annotates every node with what it costs, and keeps the report.

    result = TrainingCostPass(batch=8)(model)
    result.report.totals

It computes nothing anew in the model and changes no result, so it does not count as a modification.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import onnx_ir as ir

from graphc.analysis.cost_report import CostReport
from graphc.analysis.training import cost
from graphc.metadata import COST


class CostResult(ir.passes.PassResult):
    """A PassResult with the report."""

    def __init__(self, model: ir.Model, report: CostReport) -> None:
        super().__init__(model, modified=False)
        self.report = report


class TrainingCostPass(ir.passes.InPlacePass):
    """Options are those of `graphc.cost`. `report` is that of the last run.

    The metadata property `graphc.cost` of a node is JSON: multiply-adds by direction, or why they are not known. Nodes
    that do not run, or share their name, have none.
    """

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.report: CostReport | None = None

    def call(self, model: ir.Model) -> CostResult:
        """Cost the model and annotate the nodes of its main graph whose names are unique."""
        self.report = report = cost(model, **self.options)
        names = Counter(node.name for node in model.graph)
        found = {node.name: node for node in report.nodes if names[node.name] == 1}
        for node in model.graph:
            counted = found.get(node.name or "")
            if counted is not None:
                told = {"uncosted": counted.uncosted} if counted.uncosted else counted.as_json()["macs"]
                node.metadata_props[COST] = json.dumps(told)
        return CostResult(model, report)
