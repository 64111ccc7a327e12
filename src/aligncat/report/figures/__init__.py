"""Figures of what grounders answered. Importing this loads no matplotlib; drawing does."""
