"""Stages that run in threads, connected by bounded channels."""
