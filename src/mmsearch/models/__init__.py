"""Architectures, their weights and exports, and the model repository that Triton serves."""
