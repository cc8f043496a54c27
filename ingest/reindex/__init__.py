"""The same catalog by another model: a new index, checked, then behind the alias."""
