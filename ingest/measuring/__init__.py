"""What ingest measures on an index once its products are there."""
