"""Pooling, means and blurs as convolutions, and moved to the cheap side."""
