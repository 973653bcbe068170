"""What a model costs, against what it may cost."""
