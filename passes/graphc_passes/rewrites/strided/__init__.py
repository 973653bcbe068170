"""Strided convolutions in other forms, and back."""
