"""Composite operators written out in elementary ones."""
