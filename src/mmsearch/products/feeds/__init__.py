"""Feeds of shops: the presets of platforms, and how rows become products."""
