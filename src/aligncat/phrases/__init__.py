"""Pseudo-phrases: phrases that a grammar writes from a store alone, to train on photos without human phrases."""
