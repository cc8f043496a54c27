"""The connections to OpenSearch and Triton: credentials, TLS, retries, and errors by their cause."""
