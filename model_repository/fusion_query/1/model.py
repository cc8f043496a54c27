"""Triton's entry point; the work is in the module that the served tree holds beside this file."""

from .tower_model import TowerModel as TritonPythonModel  # type: ignore[import-not-found]

__all__ = ["TritonPythonModel"]
