"""The product index: create, check, write and clean."""
