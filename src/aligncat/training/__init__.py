"""Training: the fit, its run folder and presets, and the Lightning module, data and callbacks."""
