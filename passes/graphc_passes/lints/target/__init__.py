"""Lints about where a model will run: they speak where a target is set."""
