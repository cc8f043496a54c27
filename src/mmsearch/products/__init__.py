"""A line of a catalog as a product: readers, presets, the text that towers read, rejects."""
