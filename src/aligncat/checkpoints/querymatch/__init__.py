"""Import QueryMatch checkpoints as grounders."""
