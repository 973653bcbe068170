"""What keeps a run from saying all that it should."""
