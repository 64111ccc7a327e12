"""The verbs of the command line: one thin module each, which calls the packages and prints the result."""
