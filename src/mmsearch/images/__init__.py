"""Read and check images: from a reference to bytes for the encoder."""
