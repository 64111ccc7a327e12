"""Files of answers: one module per format, all written from the same records, and the run that makes them."""
