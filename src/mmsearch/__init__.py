"""Multimodal semantic retrieval for product search on OpenSearch k-NN and NVIDIA Triton."""

__version__ = "0.1.0"
