"""The fusion of a hybrid, found on judged queries."""
