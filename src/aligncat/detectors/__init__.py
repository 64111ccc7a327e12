"""An image in, its candidates out: the frozen detectors."""
