"""Grouped and depthwise convolutions and channel shuffles in other forms, and back."""
