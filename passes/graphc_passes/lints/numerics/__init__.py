"""What is no number, or not precise, on some input: by intervals, by reading weights, and where asked by running."""
