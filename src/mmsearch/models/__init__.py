"""Architectures, their weights and exports, and the repository that Triton serves."""
