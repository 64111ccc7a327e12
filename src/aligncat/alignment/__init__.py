"""The paper: category and global matching, phrase attention, selection, negatives, losses, and the model."""
