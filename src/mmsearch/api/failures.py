"""Converts failures below the API to errors with one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmsearch.errors import AwayError, BlockedError, CallError, EncoderError, FaultError, UnreachableError
from mmsearch.extras import missing_package


@contextmanager
def explained(purpose: str) -> Iterator[None]:
    """Context manager: failed calls to a server become UnreachableError, EncoderError or BlockedError, and a
    missing package a MissingPackageError that names the `purpose`."""
    try:
        yield
    except AwayError as error:
        raise UnreachableError(error.sentence()) from None
    except FaultError as error:
        raise EncoderError(error.sentence()) from None
    except CallError as error:
        raise BlockedError(error.sentence()) from None
    except ModuleNotFoundError as error:
        missing = missing_package(error, purpose)
        if missing is None:
            raise
        raise missing from error
