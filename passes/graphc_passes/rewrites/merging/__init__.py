"""Linear operators in a row or side by side, as one."""
