"""Pictures as the towers take them: preprocessing, colours, and the form in which pixels are sent."""
