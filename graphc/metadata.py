"""The keys under which graphc keeps what ONNX has no field for, in `metadata_props`. Other tools may drop them."""

DIMS = "graphc.dims"  # of a model: the ranges of its symbolic dimensions, name -> {min, opt, max, ...}, as JSON
REWRITES = "graphc.rewrites"  # of a node: the rewrites that made it, in order, with commas
STOP_GRADIENT = "graphc.stop_gradient"  # of a node: no gradient flows back through it
LINT = "graphc.lint"  # of a node: the lints that its spec ignores there
CONSTANT = "graphc.constant"  # of a value: an initializer that is no parameter
