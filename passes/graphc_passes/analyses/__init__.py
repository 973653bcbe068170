"""Passes that look and annotate, one per file."""
