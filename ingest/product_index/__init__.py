"""The index of the products: created, checked, written, cleaned."""
