"""What is wrong with a spec."""
