"""The grounder: model, folder, choices and the call that grounds phrases in an image."""
