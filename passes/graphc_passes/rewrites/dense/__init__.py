"""Fully connected layers and 1x1 convolutions, either as the other."""
