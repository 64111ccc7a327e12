"""Import checkpoints of other projects."""
