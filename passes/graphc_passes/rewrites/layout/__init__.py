"""Rearrangements between channels and space: recognised, moved, folded."""
