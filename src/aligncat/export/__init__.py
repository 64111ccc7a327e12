"""Export detectors and grounders for other runtimes."""
