"""Variants of the embedded node: several nodes in a cluster, or with the official plugins."""
