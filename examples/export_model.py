"""How exported.onnx was made: a small image-to-image network, as the exporter of PyTorch writes it.

    pip install torch onnx onnxscript
    python examples/export_model.py

Nothing else needs PyTorch: the model is committed.
"""

from __future__ import annotations

from pathlib import Path

import torch
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import nn

TARGET = Path(__file__).with_name("exported.onnx")


def network() -> nn.Sequential:
    """Down, a dropout, and up again: what a framework leaves in a model that a runtime need not do."""
    return nn.Sequential(
        nn.ZeroPad2d(1),
        nn.Conv2d(3, 16, 3, stride=2),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Identity(),
        nn.Dropout(0.1),
        nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 3, 1),
    )


def main() -> None:
    """Write exported.onnx; seeded, with statistics that a few batches have moved off their defaults."""
    torch.manual_seed(0)
    model = network()
    with torch.no_grad():
        for _ in range(10):
            model(torch.randn(4, 3, 32, 32))
    sizes = {0: torch.export.Dim("N"), 2: torch.export.Dim("H", min=4), 3: torch.export.Dim("W", min=4)}
    program = torch.onnx.export(
        model.eval(),
        (torch.randn(2, 3, 64, 64),),
        dynamo=True,
        optimize=False,
        dynamic_shapes=({"input": sizes}),
        input_names=["image"],
        output_names=["out"],
    )
    ClearMetadataAndDocStringPass()(program.model)  # stack traces: the paths of whoever exported it
    program.save(TARGET)


if __name__ == "__main__":
    main()
