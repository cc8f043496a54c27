"""Reads mmsearch's fields from anywhere in a record, by `--map`."""
