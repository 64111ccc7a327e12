"""Helpers that several test packages share: fabricated data, tiny models, independent references."""
