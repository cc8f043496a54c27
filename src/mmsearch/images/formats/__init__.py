"""Sizes and memory of images by the structure of their files, one format each."""
