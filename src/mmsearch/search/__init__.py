"""Query bodies, hits, clause names of the plugin, and the search log."""
