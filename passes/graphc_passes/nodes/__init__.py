"""Reading and making nodes of one kind, one topic per file: what several rewrites share."""
