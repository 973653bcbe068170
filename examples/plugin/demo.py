"""What the plugin adds, used the way graphc's own layers, passes and lints are used: by name."""

from pathlib import Path

import graphc
from graphc import laws
from graphc.pipeline import find_rewrite

model = graphc.build(Path(__file__).with_name("demo.yaml"))
print("the layer wrote", [node.op_type for node in model.graph])
for finding in graphc.findings(model, "graph/square-as-pow"):
    print("the lint says", finding)

result = graphc.Pipeline("replace-pow-with-mul")(model.clone())
print("the rewrite left", [node.op_type for node in result.model.graph])
print("the lint says nothing more:", graphc.findings(result.model, "graph/square-as-pow") == ())
print("outputs agree:", graphc.check(model, result.model).passed)
print("laws broken:", list(laws.violations(find_rewrite("replace-pow-with-mul"))))
