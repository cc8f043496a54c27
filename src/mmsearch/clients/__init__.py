"""Connections to OpenSearch and Triton: credentials, TLS, retries, and errors classified by cause."""
