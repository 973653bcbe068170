"""Lints: what they look at, what they find, and what is done with findings."""

CHILD = "graphc.linting.child"  # the module of the process that lints
