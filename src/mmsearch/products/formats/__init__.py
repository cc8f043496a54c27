"""Readers of catalog files by format; format, encoding and compression are detected from the content."""
