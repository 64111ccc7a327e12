"""The public functions of `aligncat`, one module each. They return data and print only progress, on stderr."""
