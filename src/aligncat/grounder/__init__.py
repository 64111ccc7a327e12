"""The grounder: its model, folder and model card, and the calls that ground phrases in images."""
