"""A text encoder from nothing: its own vocabulary, and random weights for a training to begin with."""
