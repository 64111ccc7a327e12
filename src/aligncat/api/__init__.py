"""The public functions of `aligncat`, one module each: they compose the packages, return data and print nothing."""
