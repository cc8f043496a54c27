"""A reference to an image becomes checked bytes that the encoder takes."""
