"""Embedded nodes that are not the usual one: several in a cluster, or with the official plugins."""
