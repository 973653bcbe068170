"""Transposed convolutions in other forms, and back."""
