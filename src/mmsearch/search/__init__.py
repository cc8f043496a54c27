"""Query bodies, hits, the names of our clauses, and the log of searches."""
