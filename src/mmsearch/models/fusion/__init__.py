"""The modules that join the towers' features into one vector."""
