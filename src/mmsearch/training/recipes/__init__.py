"""Recipes of trainings: what moves, by which numbers, and which fits the data."""
