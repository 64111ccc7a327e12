"""File access: atomic writes, new folders, locks, hashes, and safe reading of files of any origin."""
