"""Readers of expressions and truth in several file formats, and preparation and checks of RefCOCO's files."""
