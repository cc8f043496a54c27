"""The files that a training leaves in its folder."""

from __future__ import annotations

ARCHITECTURE = "architecture.json"
WEIGHTS = "fusion.safetensors"
CHECKPOINT = "checkpoint.safetensors"
LOG = "log.jsonl"
CURVE = "curve.svg"
GAIN = "gain.json"
TOWERS = "towers"
"""folder with a folder for each text tower that was trained"""
