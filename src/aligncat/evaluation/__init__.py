"""Evaluation against the truth: REC, RES, the oracle, causes of errors, slices, and results over seeds."""
