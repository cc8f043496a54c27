"""The schema of a new index: languages, attributes, and the user's own mapping and settings."""
