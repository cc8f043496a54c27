"""Measures on the groups of products that a training holds out."""
