"""What a run says: counts, losses, a progress bar, JSON, metrics."""
