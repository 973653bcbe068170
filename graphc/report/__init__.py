"""Values rendered for people (text that fits a terminal) and for programs (JSON), and nothing else."""
