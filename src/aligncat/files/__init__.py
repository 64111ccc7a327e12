"""File access: atomic writes, new folders, hashes, and safe reading of pickles and images."""
