"""Convolutions of few output channels, spread over more lanes."""
