"""Tuning of the fusion of a hybrid query on judged queries."""
