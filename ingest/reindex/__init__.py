"""Reindexing with another model: a new index is filled from the same catalog, checked, and put behind the
alias.
"""
