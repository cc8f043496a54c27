"""Architectures and controls compared on held-out queries."""
