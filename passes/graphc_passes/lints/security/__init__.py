"""What a file could do to the machine that reads it, and what it tells about the one that wrote it."""
