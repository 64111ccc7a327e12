"""The verbs. Each is one keyword-only function; its arguments are the command line's options and the YAML's keys."""
