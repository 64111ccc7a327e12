"""Figures of a grounder's answers. This package imports without matplotlib; drawing needs it."""
