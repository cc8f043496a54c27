"""What can go wrong around models.

ModelError                a sentence for the user: expected, got, repair
├── ArchitectureError     the data file of an architecture does not hold together
├── WeightsError          weights are missing or are not the pinned ones
├── TrainingError         training data or numbers that cannot be trained with
├── ServedTreeError       the served model repository is not in the state that was expected
├── ComparisonError       two indices could not be compared
└── NotMovedError         a new index is there, and the alias stays on the old one
"""

from __future__ import annotations

from ..ingest.errors import MmsearchError


class ModelError(MmsearchError):
    """The base of all of them; its text is one sentence."""


class ArchitectureError(ModelError):
    """An architecture's data file is missing, malformed or contradicts itself."""


class WeightsError(ModelError):
    """Weights are not installed, or their hash is not the pinned one."""


class ServedTreeError(ModelError):
    """The served model repository cannot be written or is not what a command needs."""


class TrainingError(ModelError):
    """Training data or numbers cannot be trained with."""


class ComparisonError(ModelError):
    """Two indices could not be compared: a search failed, or there was nothing to ask by."""


class NotMovedError(ModelError):
    """A new index lacks what the old one has, or could not be checked; the alias stays on the old one."""
