"""The spec language: from YAML to an expanded network and an ONNX model without passes."""

from graphc.spec.doors import build, expand, expand_text
from graphc.spec.language import Spec, Target
from graphc.spec.network import Loss, Network, Training

__all__ = ["Loss", "Network", "Spec", "Target", "Training", "build", "expand", "expand_text"]
