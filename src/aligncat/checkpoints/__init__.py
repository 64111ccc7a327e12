"""Import the checkpoints of other projects."""
