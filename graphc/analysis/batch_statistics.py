"""Of how many values the batch norms of a spec take mean and variance in a training step."""

from __future__ import annotations

from math import prod

import onnx_ir as ir

from graphc.analysis.receptive_field import preferred_sizes
from graphc.analysis.step import SCALE, SHIFT
from graphc.errors import GraphcError
from graphc.metadata import STOP_GRADIENT
from graphc.spec.network import Network


def batch_statistics(network: Network) -> dict[ir.Node, int]:
    """The values per channel of each batch norm that computes statistics: one that is not frozen, nor behind
    `stop_gradient`. The dims are as preferred, the batch is that of `train:`; what has no known size is left out."""
    training = network.training
    if training is None:
        return {}
    batch = network.spec.train.batch if network.spec.train is not None else None
    trained = {each.value for each in network.trainable.values()}
    found = {}
    for node in (*network.nodes, *training.nodes):
        computes = node.op_type == "BatchNormalization" and not trained.isdisjoint(node.inputs[SCALE : SHIFT + 1])
        if not computes or STOP_GRADIENT in node.metadata_props:
            continue
        try:
            sizes = preferred_sizes(network, node.inputs[0])
        except GraphcError:
            continue
        if len(sizes) > 1:
            found[node] = (batch or sizes[0]) * prod(sizes[2:])
    return found
