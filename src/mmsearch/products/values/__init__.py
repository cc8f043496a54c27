"""Values as shops write them: prices, categories, HTML, several pictures in one cell."""
