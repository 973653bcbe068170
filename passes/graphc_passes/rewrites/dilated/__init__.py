"""Dilated convolutions in other forms, and back."""
