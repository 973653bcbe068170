"""Random and common small models for the cases and samples of rewrites, one topic per file."""
