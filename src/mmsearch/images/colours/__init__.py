"""Colours of products, by their images."""
