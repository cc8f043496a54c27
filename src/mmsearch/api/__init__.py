"""The Python API: what `import mmsearch` offers, one concept a file. The command line is written on it."""
