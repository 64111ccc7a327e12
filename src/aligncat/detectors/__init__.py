"""Frozen detectors, which find the candidates of an image."""
