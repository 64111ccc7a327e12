"""Results for people to read: tables for the terminal, figures, and an HTML page of all answers."""
