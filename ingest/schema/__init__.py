"""How a new index understands its products: languages, attributes, and what the shop adds of its own."""
