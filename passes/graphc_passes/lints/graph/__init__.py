"""Lints about the graph itself: whether it is a model, and what in it nobody needs or everybody trips over."""
