"""Triton's entry point; the work is in the modules that the served tree holds beside this file."""

from .entry_model import EntryModel as TritonPythonModel  # type: ignore[import-not-found]

__all__ = ["TritonPythonModel"]
