"""The Python API: what `import mmsearch` provides. The command line is built on it."""
