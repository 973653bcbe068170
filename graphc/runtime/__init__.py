"""ONNX Runtime: sessions, the equivalence check and what the environment offers. Nothing else may import it."""
