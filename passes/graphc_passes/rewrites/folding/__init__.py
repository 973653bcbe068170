"""Rewrites after which something lives on in a neighbour's constants or attributes only."""
