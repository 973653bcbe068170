"""What a spec may say about linting it. Config files and flags say the same, and more: `graphc.linting.settings`."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from graphc.spec.quantities import Bytes, Count, Seconds, Section

Severity = Literal["error", "warning", "info"]


class Budgets(Section):
    """Bounds that lint holds a model to, before any pass, at the least, preferred and largest sizes of its dims.

    A training step is held to its bounds at the preferred sizes, with the batch of `train:`.
    """

    model_config = ConfigDict(populate_by_name=False)

    params: Count | None = Field(None, description="floating elements of weights, frozen ones too; no statistics")
    nodes: Count | None = Field(None, description="nodes of all graphs")
    macs: Count | None = Field(None, description="multiply-adds of an inference")
    effective_macs: Count | None = Field(
        None, alias="effective-macs", description="multiply-adds of an inference that are not on padding"
    )
    filter_grad_macs: Count | None = Field(
        None, alias="filter-grad-macs", description="multiply-adds of a training step towards what trains"
    )
    filter_grad_effective_macs: Count | None = Field(
        None, alias="filter-grad-effective-macs", description="those of them that are not on padding"
    )
    input_grad_macs: Count | None = Field(
        None, alias="input-grad-macs", description="multiply-adds of a training step towards activations"
    )
    input_grad_effective_macs: Count | None = Field(
        None, alias="input-grad-effective-macs", description="those of them that are not on padding"
    )
    training_macs: Count | None = Field(
        None, alias="training-macs", description="multiply-adds of a training step, forward and backward"
    )
    training_effective_macs: Count | None = Field(
        None, alias="training-effective-macs", description="those of them that are not on padding"
    )
    activation_memory: Bytes | None = Field(
        None, alias="activation-memory", description="most bytes of inputs and activations that an inference holds"
    )
    peak_memory: Bytes | None = Field(
        None, alias="peak-memory", description="most bytes that an inference holds, weights too"
    )
    training_memory: Bytes | None = Field(
        None, alias="training-memory", description="most bytes that a training step holds, the optimizer's too"
    )
    file_size: Bytes | None = Field(None, alias="file-size", description="bytes of the ONNX file, external data too")
    latency: Seconds | None = Field(None, description="median seconds of an inference, measured where lint runs")


class Lint(Section):
    """Which lints look at this spec, and how strictly."""

    select: list[str] = Field(["all"], description="lints or categories; all")
    ignore: list[str] = Field([], description="lints or categories that are left out")
    per_node_ignores: dict[str, list[str]] = Field(
        {}, alias="per-node-ignores", description="glob of node names: lints"
    )
    budgets: Budgets = Budgets()
    severity: dict[str, Severity] = Field({}, description="lint: error, warning or info")


class NodeLint(Section):
    """An item's own suppression."""

    ignore: list[str] = Field(min_length=1)
    reason: str = ""
