"""What graphc reads off a model: shapes at given sizes, totals before and after a pass."""
