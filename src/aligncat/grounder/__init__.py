"""The grounder: its model, folder and model card, and the class `Grounder`, which grounds phrases in images."""
