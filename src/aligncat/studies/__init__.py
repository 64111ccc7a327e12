"""Ablation studies: rows, comparisons over seeds, and subsets of the training data."""
