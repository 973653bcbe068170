"""The spec language: from YAML to an expanded network and an ONNX model without passes. Its `doors` are the way in."""
