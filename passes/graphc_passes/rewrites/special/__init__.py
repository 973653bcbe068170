"""Rarer convolutions: of other ranks, deformed, conditional, by minimal filtering."""
