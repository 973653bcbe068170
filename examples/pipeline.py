"""graphc's passes and onnx_ir's in one pipeline, on a model that PyTorch exported (see export_model.py)."""

from pathlib import Path

from onnx_ir.passes import common

import graphc

original = graphc.load(Path(__file__).with_name("exported.onnx"))
subpixel = "replace-conv-transpose-with-subpixel-conv"
pipeline = graphc.Pipeline([common.LiftConstantsToInitializersPass(), "inference", subpixel, "name-fix"])
optimised = pipeline(original.clone())
for step in optimised.record.steps:
    print(f"{step.name:42} fired {len(step.fired)}, {step.before.nodes} -> {step.after.nodes} nodes")
print(graphc.check(original, optimised.model).worst)
