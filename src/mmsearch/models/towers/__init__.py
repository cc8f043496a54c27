"""The encoders of text and images, as torch modules."""
