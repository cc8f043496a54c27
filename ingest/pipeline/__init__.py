"""Stages in threads, and the bounded channels between them."""
