"""JSON and XML documents as catalogs: where their records are, and each of them in bounded memory."""
