"""Rewrites that remove what does nothing."""
