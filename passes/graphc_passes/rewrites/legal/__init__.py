"""Valid ONNX that ONNX Runtime refuses or gets wrong, in a form that it runs."""
