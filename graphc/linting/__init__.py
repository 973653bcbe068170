"""Lints: what they look at, what they find, and what is done with findings."""
