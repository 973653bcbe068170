"""What keeps a spec from training as it is meant to."""
