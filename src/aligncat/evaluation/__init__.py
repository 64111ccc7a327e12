"""What choices of candidates are worth: REC, RES, the oracle, errors by cause, slices, results over seeds."""
