"""Output of a run: counts, losses, progress bar, JSON log, metrics."""
