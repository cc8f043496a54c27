"""The exception tree of mmsearch, drawn once.

    MmsearchError               every failure that one sentence explains: expected, got, repair
    └── StackError              an embedded server could not be fetched, started, reached or stopped

The command line prints an MmsearchError as one line on stderr and exits 1; anything else is a bug and keeps its
traceback.
"""

from __future__ import annotations


class MmsearchError(Exception):
    """A failure that its message explains in one sentence: what was expected, what came, and the repair."""


class StackError(MmsearchError):
    """An embedded server could not be fetched, started, reached or stopped."""
