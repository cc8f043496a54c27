"""The choice of the runtime of each tower by a measurement on this processor."""
