"""Resize in other forms, alone and with a convolution behind it."""
