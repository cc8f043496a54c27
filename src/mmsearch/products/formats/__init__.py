"""Readers of catalog files by format; format, encoding and compression are told by content."""
