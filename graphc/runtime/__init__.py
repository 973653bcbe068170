"""ONNX Runtime: sessions, the equivalence check, the environment. Nothing else may import onnxruntime."""
