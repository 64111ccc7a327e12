"""Share work among processes and machines: each task writes one whole file, so it may be done again at any time."""
