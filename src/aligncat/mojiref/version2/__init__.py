"""MojiRef's second version: patterned objects, light, clutter, up to twelve objects, and more human phrases."""
