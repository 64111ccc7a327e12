"""The paper's equations: scores, phrase attention, selection, negatives, losses, and the model that uses them."""
